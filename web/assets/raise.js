// What an owner presses under an answer, what it did, and why the answer was so.
import { call, element, key, once, patient, pause, tell } from './api.js';

let given; // this owner's own feedback on the agent, asked once: message → kind → {id, value}

async function marks(agent) {
  const out = new Map();
  const page = await call('GET', `/v1/feedback?agent=${agent.id}`);
  for (const f of page.items) {
    if (f.by !== 'you' || f.status !== 'stored' || !f.messageId) continue;
    if (!out.has(f.messageId)) out.set(f.messageId, {});
    out.get(f.messageId)[f.kind] ??= { id: f.feedbackId, value: f.value };
  }
  return out;
}

export function raise(item, agent, message) {
  const bar = item.querySelector('.raise');
  const did = item.querySelector('.did');
  const pressed = {}; // kind → {id, value}
  const draw = () => {
    for (const b of bar.querySelectorAll('[aria-pressed]')) b.setAttribute('aria-pressed', pressed[b.dataset.kind]?.value === b.dataset.value);
  };
  given ??= marks(agent).catch(() => new Map());
  given.then((all) => {
    for (const [kind, mark] of Object.entries(all.get(message.id) ?? {})) pressed[kind] ??= mark;
    draw();
  });

  const give = once(bar, async ({ kind, value }) => {
    try {
      if (kind !== 'tone' && pressed[kind]?.value === value) { // again takes it back
        await call('DELETE', `/v1/feedback/${pressed[kind].id}`);
        delete pressed[kind];
        draw();
        did.textContent = 'taken back, with everything it did';
        return;
      }
      const r = await call('POST', '/v1/feedback', { kind, value, messageId: message.id }, { key: key() });
      if (kind !== 'tone') pressed[kind] = { id: r.feedbackId, value };
      draw();
      did.textContent = r.direction ? await steered(agent, r.direction) : await believed(agent, r);
      did.scrollIntoView({ block: 'nearest' });
    } catch (err) {
      tell(did, err);
    }
  });
  for (const b of bar.querySelectorAll('button')) b.addEventListener('click', () => give(b.dataset));

  const why = bar.querySelector('.why');
  why.addEventListener('toggle', async () => {
    const box = why.querySelector('.because');
    if (!why.open || box.childElementCount) return;
    try {
      explain(box, await patient(() => call('GET', `/v1/decisions/${encodeURIComponent(message.decisionId)}`)));
      why.scrollIntoView({ block: 'nearest' });
    } catch (err) {
      tell(box, err);
    }
  });
}

// emphasise asks for this answer in particular, when the server says so.
export async function emphasise(item, agent, message) {
  const ask = item.querySelector('.ask');
  const bar = item.querySelector('.raise');
  try {
    const p = await patient(() => call('GET', `/v1/prompts?agent=${agent.id}&message=${message.id}`));
    if (p.ask !== 'inline') return;
    ask.hidden = false;
    bar.classList.add('asked');
    bar.addEventListener('click', () => { // answered, one way or another
      ask.hidden = true;
      bar.classList.remove('asked');
    }, { once: true });
    item.scrollIntoView({ block: 'nearest' });
    await call('POST', `/v1/prompts/${p.promptId}/shown`);
  } catch { /* nobody has to be asked */ }
}

// steered says what a wish did now and does later.
async function steered(agent, d) {
  const { policy } = await call('GET', `/v1/agents/${agent.id}`);
  if (policy.pinned.includes(d.trait)) return `${d.trait} is pinned, so it stays where it is`;
  return `${d.trait} ${d.sign > 0 ? '+' : '−'}0.15 for this session; evidence for later`;
}

// believed says what an opinion did to the belief, as soon as it is known.
async function believed(agent, receipt) {
  for (let n = 0; n < 10; n++) {
    const { ratings } = await call('GET', `/v1/agents/${agent.id}/explanation`);
    const mine = ratings.find((r) => r.feedbackId === receipt.feedbackId);
    if (mine) return mine.note.replaceAll('_', ' ');
    await pause(100);
  }
  return `kept; it counts towards how ${agent.name} speaks with you`;
}

function explain(box, d) {
  const says = (x) => {
    const p = element('p', '', 'line');
    p.append(element('ins', `says ${x.line.trim()}`), element('del', `not ${x.was.trim()}`));
    return p;
  };
  if (d.decision) box.append(element('p', `Policy version ${d.decision.policyVersion}, answered by ${d.decision.model}.`));
  for (const x of d.asked ?? []) box.append(element('p', `You asked for it: ${x.trait} ${x.from.toFixed(2)} → ${x.to.toFixed(2)} in this session.`), says(x));
  if (d.tries?.length) box.append(element('p', 'This session also tries something slightly new:'));
  for (const x of d.tries ?? []) box.append(element('p', `${x.trait} ${x.to.toFixed(2)}, where the policy says ${x.from.toFixed(2)}.`), says(x));
  if (!d.asked?.length && !d.tries?.length) box.append(element('p', 'It spoke exactly as the policy says.'));
}

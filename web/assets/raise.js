// What an owner presses or writes under an answer, what it did, and why the answer was so.
import { call, element, key, once, patient, pause, tell } from './api.js';

let given; // this owner's own feedback on the agent, asked once: message → facet → {id, value, text}
const drawn = new Map(); // message → what shows a mark that came from another tab
const tabs = new BroadcastChannel('marks');
tabs.onmessage = ({ data }) => drawn.get(data.message)?.(data);

// facet is what can have one mark: reasons add up, other kinds replace each other.
const facet = (kind, value) => (kind === 'reason' ? `reason ${value}` : kind);

async function marks(agent) {
  const out = new Map();
  const page = await call('GET', `/v1/feedback?agent=${agent.id}`);
  for (const f of page.items) {
    if (f.by !== 'you' || f.status !== 'stored' || !f.messageId) continue;
    if (!out.has(f.messageId)) out.set(f.messageId, {});
    out.get(f.messageId)[facet(f.kind, f.value)] ??= { id: f.feedbackId, value: f.value, text: f.correction };
  }
  return out;
}

// reasons are chips for why something was good or bad; never required.
export function reasons(box, good, press) {
  const all = document.querySelector('#reasons').content.firstElementChild.cloneNode(true);
  all.querySelector(`[data-of=${good ? 'down' : 'up'}]`).remove();
  for (const b of all.querySelectorAll('button')) b.addEventListener('click', () => press(b));
  box.replaceChildren(all);
  return all;
}

export function raise(item, agent, message) {
  const bar = item.querySelector('.raise');
  const did = item.querySelector('.did');
  const why = element('div');
  bar.after(why);
  const pressed = {}; // facet → {id, value, text}
  const draw = () => {
    for (const b of item.querySelectorAll('[aria-pressed]')) b.setAttribute('aria-pressed', pressed[facet(b.dataset.kind, b.dataset.value)]?.value === b.dataset.value);
  };
  const mark = (of, one, supersedes) => {
    for (const [f, old] of Object.entries(pressed)) if (old.id === supersedes) delete pressed[f];
    if (one) pressed[of] = one;
    else delete pressed[of];
    draw();
  };
  drawn.set(message.id, (m) => mark(m.of, m.one, m.supersedes));
  const everywhere = (of, one, supersedes) => {
    mark(of, one, supersedes);
    tabs.postMessage({ message: message.id, of, one, supersedes });
  };
  given ??= marks(agent).catch(() => new Map());
  given.then((all) => {
    for (const [of, one] of Object.entries(all.get(message.id) ?? {})) pressed[of] ??= one;
    draw();
  });
  const says = (text) => {
    did.textContent = text;
    did.scrollIntoView({ block: 'nearest' });
  };
  let turn = 0;
  const soon = async (words) => { // what something did may take a moment to be known
    const mine = ++turn;
    try {
      const text = await words;
      if (mine === turn) says(text);
    } catch (err) {
      if (mine === turn) tell(did, err);
    }
  };
  const takeBack = async (of) => {
    const { id } = pressed[of];
    await call('DELETE', `/v1/feedback/${id}`);
    everywhere(of);
    soon(takenOut(id));
  };

  const give = once(item, async ({ kind, value }) => {
    const of = facet(kind, value);
    try {
      if (kind !== 'tone' && pressed[of]?.value === value) { // again takes it back
        if (kind === 'thumb') why.replaceChildren();
        return await takeBack(of);
      }
      const r = await call('POST', '/v1/feedback', { kind, value, messageId: message.id }, { key: key() });
      if (kind !== 'tone') everywhere(of, { id: r.feedbackId, value }, r.supersedes);
      if (kind === 'thumb') {
        reasons(why, value === 'up', (b) => give(b.dataset));
        draw();
      }
      soon(kind === 'reason' ? noted(r) : r.direction ? steered(agent, r.direction) : believed(agent, r));
    } catch (err) {
      tell(did, err);
    }
  });
  for (const b of bar.querySelectorAll('button')) b.addEventListener('click', () => give(b.dataset));

  const open = (box, make) => box.addEventListener('toggle', () => {
    if (!box.open || box.childElementCount > 1) return;
    box.append(make(box));
    box.querySelector('textarea').focus();
  });
  open(bar.querySelector('.remark'), (box) => saying('What you think, for you alone', 'Keep it', async (text, f) => {
    await call('POST', '/v1/feedback', { kind: 'comment', comment: text, messageId: message.id }, { key: key() });
    f.reset();
    box.open = false;
    says('kept; it is under “My data”');
  }));
  open(bar.querySelector('.better'), (box) => {
    const f = saying('What it should have said', 'Tell it so', async (text) => {
      const r = await call('POST', '/v1/feedback', { kind: 'correction', correction: text, messageId: message.id }, { key: key() });
      everywhere('correction', { id: r.feedbackId, text }, r.supersedes);
      f.querySelector('.undo').hidden = false;
      box.open = false;
      soon(measured(agent, r.feedbackId));
    }, 'Only you read it. What is measured is how it differs from what was said.');
    f.querySelector('textarea').value = pressed.correction?.text || message.text;
    const undo = f.querySelector('.undo');
    undo.hidden = !pressed.correction;
    undo.addEventListener('click', once(f, async () => {
      try {
        await takeBack('correction');
        undo.hidden = true;
        box.open = false;
      } catch (err) {
        tell(did, err);
      }
    }));
    return f;
  });

  function saying(asks, does, send, hint = '') {
    const f = document.querySelector('#saying').content.firstElementChild.cloneNode(true);
    f.querySelector('span').textContent = asks;
    f.querySelector('button').textContent = does;
    f.querySelector('.hint').textContent = hint;
    f.addEventListener('submit', (e) => e.preventDefault());
    f.addEventListener('submit', once(f, async () => {
      const text = f.querySelector('textarea').value;
      if (!text.trim()) return;
      try {
        await send(text, f);
      } catch (err) {
        tell(did, err);
      }
    }));
    return f;
  }

  const reason = bar.querySelector('.why');
  reason.addEventListener('toggle', async () => {
    const box = reason.querySelector('.because');
    if (!reason.open || box.childElementCount) return;
    try {
      explain(box, await patient(() => call('GET', `/v1/decisions/${encodeURIComponent(message.decisionId)}`)));
      box.scrollIntoView({ block: 'nearest' });
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

// noted says what a reason asks for.
const noted = ({ direction: d }) => (d ? `noted: ${d.sign > 0 ? 'more' : 'less'} ${d.trait} is asked for` : 'noted');

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

// measured says what a correction asks for.
async function measured(agent, id) {
  const { items } = await call('GET', `/v1/feedback?agent=${agent.id}`);
  const asks = items.filter((f) => f.partOf === id && f.status === 'stored' && f.direction).map((f) => `${f.direction.sign > 0 ? 'more' : 'less'} ${f.direction.trait}`);
  return asks.length ? `kept; against what was said it asks for ${asks.join(', ')}` : 'kept; it differs in nothing that is measured';
}

// takenOut says what became of something that was taken back: where it had moved
// the agent, the version from which it is out again, as soon as there is one.
async function takenOut(id) {
  for (let n = 0; n < 10; n++) {
    const { effect } = await call('GET', `/v1/feedback/${id}`);
    if (effect?.takenOutIn?.length) return effect.says;
    if (!effect?.usedIn?.length) break;
    await pause(100);
  }
  return 'taken back, with everything it did';
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

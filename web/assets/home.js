import { call, element, key, once, tell } from './api.js';

// One question, when the server has one: how a talk was, or how an agent is doing.
const card = document.querySelector('#asked');
async function ask() {
  const p = await call('GET', '/v1/prompts');
  if (p.ask === 'none') return;
  const agent = await call('GET', `/v1/agents/${p.agentId}`);
  const words = p.ask === 'check_in' ? 'lately' : 'today';
  card.querySelector('h2').textContent = p.ask === 'check_in' ? `How is ${agent.name} doing for you lately?` : `How was ${agent.name} today?`;
  card.querySelector(`.${words}`).hidden = false;
  card.hidden = false;
  for (const b of card.querySelectorAll('button')) {
    b.addEventListener('click', once(card, async () => {
      const thanks = card.querySelector('.thanks');
      try {
        if (!b.value) {
          await call('POST', `/v1/prompts/${p.promptId}/skipped`);
          card.hidden = true;
          return;
        }
        const about = p.ask === 'check_in' ? { kind: 'check_in', agentId: p.agentId } : { kind: 'session', sessionId: p.sessionId };
        await call('POST', '/v1/feedback', { ...about, value: b.value }, { key: key() });
        for (const x of card.querySelectorAll('.levels, [value=""]')) x.hidden = true;
        thanks.textContent = `Thank you: “${b.value.replace('_', ' ')}” counts towards how ${agent.name} speaks with you.`;
      } catch (err) {
        tell(thanks, err);
      }
    }));
  }
  await call('POST', `/v1/prompts/${p.promptId}/shown`);
}
if (card) ask().catch(() => {}); // nobody has to be asked

// How often the person is asked about all agents together.
const budget = document.querySelector('#budget');
budget?.closest('details').addEventListener('toggle', async () => {
  try {
    budget.value = (await call('GET', '/v1/me/asking')).budget;
    budget.disabled = false;
  } catch (err) {
    tell(document.querySelector('#budgeted'), err);
  }
}, { once: true });
budget?.addEventListener('change', async () => {
  const says = document.querySelector('#budgeted');
  try {
    const set = await call('PUT', '/v1/me/asking', { budget: Number(budget.value) });
    says.textContent = set.budget ? `You are asked at most ${set.budget} times a week.` : 'You are not asked.';
  } catch (err) {
    tell(says, err);
  }
});

// How often about one of them.
const kept = document.querySelector('#kept');
for (const x of document.querySelectorAll('.asking select')) {
  x.addEventListener('change', once(x, async () => {
    try {
      await call('PUT', `/v1/agents/${x.dataset.agent}/settings`, { asking: { intensity: x.value } });
      kept.textContent = `You are asked about ${x.dataset.name}: ${x.selectedOptions[0].text}.`;
    } catch (err) {
      tell(kept, err);
    }
  }));
}

// meet goes to a new agent; it stays busy until the page is left.
function meet(agent) {
  location.assign('/talk/' + encodeURIComponent(agent.slug));
  return new Promise(() => {});
}

// Agents of the platform.
for (const b of document.querySelectorAll('[data-adopt]')) {
  const adoption = key();
  b.addEventListener('click', once(b, async () => {
    try {
      await meet(await call('POST', `/v1/natives/${b.dataset.adopt}/adopt`, undefined, { key: adoption }));
    } catch (err) {
      tell(document.querySelector('#adopted'), err);
    }
  }));
}

// Cards from other programs.
const drop = document.querySelector('#drop');
const chosen = document.querySelector('#card');
const brought = document.querySelector('#brought');
const bring = once(drop, async (file) => {
  if (!file) return;
  brought.textContent = 'Reading the card…';
  try {
    const made = await call('POST', '/v1/agents/import', file, { key: key() });
    const notes = [...made.card.notices, ...made.card.findings];
    if (!notes.length) return await meet(made.agent);
    const talk = element('a', `Talk with ${made.agent.name}`, 'button');
    talk.href = '/talk/' + encodeURIComponent(made.agent.slug);
    const list = element('ul', '', 'terms');
    list.append(...notes.map((n) => element('li', n)));
    brought.replaceChildren(`${made.agent.name} is here. What to know of the card:`, list, talk);
  } catch (err) {
    tell(brought, err);
  }
});
chosen.addEventListener('change', () => bring(chosen.files[0]).finally(() => { chosen.value = ''; }));
for (const what of ['dragover', 'drop']) {
  drop.addEventListener(what, (e) => {
    e.preventDefault();
    drop.open = true;
    if (what === 'drop') bring(e.dataTransfer.files[0]);
  });
}

// A room for several.
const group = document.querySelector('#group');
const gathering = key();
group.addEventListener('submit', (e) => e.preventDefault());
group.addEventListener('submit', once(group, async () => {
  try {
    const agents = [...group.querySelectorAll('[name=agents]:checked')].map((x) => x.value);
    const room = await call('POST', '/v1/rooms', { title: group.elements.title.value.trim(), agents }, { key: gathering });
    location.assign('/room/' + encodeURIComponent(room.id));
    await new Promise(() => {});
  } catch (err) {
    tell(document.querySelector('#gathered'), err);
  }
}));

const form = document.querySelector('#new');
const status = document.querySelector('#status');
const mine = key(); // the form makes one agent, however often it is sent

form.addEventListener('submit', (e) => e.preventDefault());
form.addEventListener('submit', once(form, async () => {
  status.textContent = '';
  try {
    const { name, description, archetype } = form.elements;
    const start = archetype?.value ? { archetype: Number(archetype.value) } : {};
    await meet(await call('POST', '/v1/agents', { name: name.value, description: description.value, ...start }, { key: mine }));
  } catch (err) {
    tell(status, err);
  }
}));

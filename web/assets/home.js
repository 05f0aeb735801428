import { call, key, once, tell } from './api.js';

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
      kept.textContent = `You are asked about ${x.dataset.name} ${x.selectedOptions[0].text}.`;
    } catch (err) {
      tell(kept, err);
    }
  }));
}

const form = document.querySelector('#new');
const status = document.querySelector('#status');
const mine = key(); // the form makes one agent, however often it is sent

form.addEventListener('submit', (e) => e.preventDefault());
form.addEventListener('submit', once(form, async () => {
  status.textContent = '';
  try {
    const agent = await call('POST', '/v1/agents', { name: form.elements.name.value, description: form.elements.description.value }, { key: mine });
    location.assign('/talk/' + encodeURIComponent(agent.slug));
    await new Promise(() => {}); // stays busy until the page is left
  } catch (err) {
    tell(status, err);
  }
}));

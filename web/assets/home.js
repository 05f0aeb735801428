import { call, key, once, tell } from './api.js';

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

import { acts } from './act.js';
import { call, element, once, pause, tell } from './api.js';

const box = document.querySelector('#mine');
const status = document.querySelector('#status');
acts(box);

const take = document.querySelector('#take');
take?.addEventListener('click', once(take, async () => {
  status.textContent = 'Collecting…';
  try {
    const file = element('a');
    file.href = URL.createObjectURL(new Blob([JSON.stringify(await call('GET', '/v1/me/export'), null, 1)], { type: 'application/json' }));
    file.download = 'my-data.json';
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
    status.textContent = 'my-data.json is yours.';
  } catch (err) {
    tell(status, err);
  }
}));

const token = document.querySelector('#token');
token?.addEventListener('submit', (e) => e.preventDefault());
token?.addEventListener('submit', once(token, async () => {
  const made = document.querySelector('#made');
  const scopes = [...token.querySelectorAll('[name=scopes]:checked')].map((x) => x.value);
  try {
    const t = await call('POST', '/v1/tokens', { name: token.elements.name.value, scopes });
    token.reset();
    made.replaceChildren('Shown this once: ', element('code', t.token),
      ...(scopes.includes('chat') ? [element('br'), 'Programs that know OpenAI take it as their API key, with ', element('code', `${location.origin}/v1`), ' as base URL.'] : []));
  } catch (err) {
    tell(made, err);
  }
}));

// The proof is what is left to show: the login ends with the person.
const erase = document.querySelector('#erase');
erase?.addEventListener('submit', (e) => e.preventDefault());
erase?.addEventListener('submit', once(erase, async () => {
  try {
    await prove(await call('DELETE', '/v1/me'));
  } catch (err) {
    tell(erase.querySelector('.note'), err);
  }
}));

async function prove(e) {
  document.querySelector('#main').replaceChildren(document.querySelector('#proof').content.cloneNode(true));
  document.querySelector('header nav').remove();
  document.querySelector('header .who').remove();
  document.querySelector('#logout').remove();
  const state = document.querySelector('#state');
  document.querySelector('.receipt').textContent = e.receipt;
  state.textContent = 'Your account is gone. What the other parts hold of you is being dropped…';
  state.focus();
  while (e.state !== 'finished') {
    await pause(300);
    e = await call('GET', `/v1/erasures/${e.receipt ?? document.querySelector('.receipt').textContent}`);
  }
  state.textContent = 'Every part of the service has dropped what it held of you.';
  document.querySelector('.hash').textContent = e.hash;
  const dropped = document.querySelector('main .rows');
  for (const [part, tables] of Object.entries(e.rows)) {
    for (const [table, n] of Object.entries(tables)) dropped.append(element('li', `${part}: ${table.replaceAll('_', ' ')}, ${n}`));
  }
}

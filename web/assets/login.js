// A one-time link's secret stands behind the #: it leaves this page only in the
// body of POST /v1/login.
import { call, once } from './api.js';

const box = document.querySelector('#login');
const form = document.querySelector('#form');
const status = document.querySelector('#status');
const next = box.dataset.next;
const loggedIn = document.querySelector('#logout') !== null;
const secret = location.hash.slice(1);

const enter = once(box, async (body) => {
  status.textContent = 'Logging in…';
  try {
    await call('POST', '/v1/login', body);
    location.replace(next);
  } catch (err) {
    status.classList.add('warn');
    status.textContent = err.message;
  }
});

if (secret) history.replaceState(null, '', location.pathname + location.search);
if (secret && loggedIn) {
  form.hidden = true;
  document.querySelector('#switch').hidden = false;
  document.querySelector('#use').addEventListener('click', () => enter({ link: secret }));
} else if (secret) {
  enter({ link: secret });
} else if (loggedIn) {
  location.replace(next);
}
form.addEventListener('submit', (e) => {
  e.preventDefault();
  enter({ handle: form.handle.value.trim(), password: form.password.value });
});

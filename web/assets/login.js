// A one-time link's secret stands behind the #: it leaves this page only in the
// body of POST /v1/login.
import { call, once } from './api.js';

const box = document.querySelector('#login');
const form = document.querySelector('#form');
const status = document.querySelector('#status');
const next = box.dataset.next;
const loggedIn = document.querySelector('#logout') !== null;

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

// use takes the secret out of the address. Who is logged in already is asked first:
// the link may be somebody else's.
function use() {
  const secret = location.hash.slice(1);
  if (!secret) return false;
  history.replaceState(null, '', location.pathname + location.search);
  if (!loggedIn) {
    enter({ link: secret });
    return true;
  }
  form.hidden = true;
  document.querySelector('#switch').hidden = false;
  document.querySelector('#use').onclick = () => enter({ link: secret });
  return true;
}

if (!use() && loggedIn) location.replace(next);
window.addEventListener('hashchange', use); // a link pasted while this page is open
form.addEventListener('submit', (e) => {
  e.preventDefault();
  enter({ handle: form.handle.value.trim(), password: form.password.value });
});

// A link's secret stands behind the #: it leaves this page only in the body of
// POST /v1/rooms/join. Who has to log in first finds it again.
import { call, once, tell } from './api.js';

const kept = 'link';
const form = document.querySelector('#enter');
const status = document.querySelector('#status');
const secret = location.hash.slice(1) || sessionStorage.getItem(kept);
history.replaceState(null, '', location.pathname);

if (secret && !document.querySelector('#logout')) {
  sessionStorage.setItem(kept, secret);
  location.replace('/login?next=/join');
} else {
  sessionStorage.removeItem(kept);
}
form.addEventListener('submit', (e) => e.preventDefault());
form.addEventListener('submit', once(form, async () => {
  try {
    const consent = form.elements.consent.checked ? { consent: true } : {};
    const room = await call('POST', '/v1/rooms/join', { link: secret ?? '', ...consent });
    location.assign('/room/' + encodeURIComponent(room.id));
    await new Promise(() => {});
  } catch (err) {
    tell(status, err);
  }
}));

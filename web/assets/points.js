import { acts } from './act.js';
import { call, once, tell } from './api.js';

acts(document.querySelector('#points'));

// A pass opens one room; the server refuses a second one.
for (const f of document.querySelectorAll('.evening')) {
  f.addEventListener('submit', (e) => e.preventDefault());
  f.addEventListener('submit', once(f, async () => {
    try {
      const theme = f.elements.theme.value;
      const room = await call('POST', '/v1/rooms', { title: theme, evening: { pass: f.dataset.pass, theme } });
      location.assign('/room/' + encodeURIComponent(room.id));
      await new Promise(() => {});
    } catch (err) {
      tell(f.querySelector('.note'), err);
    }
  }));
}

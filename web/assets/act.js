// What pages have in common that are read anew after an act: buttons, forms and
// boxes that say in data-do which route they ask.
import { call, key, once, tell } from './api.js';

const status = document.querySelector('#status');
const place = 'did ' + location.pathname;

// Another tab with the same page reads it anew too, unless somebody writes there.
const tabs = new BroadcastChannel(place);
const touched = (x) => (x.type === 'checkbox' || x.type === 'radio' ? x.checked !== x.defaultChecked : x.value !== x.defaultValue);
const writing = () => [...document.querySelectorAll('main :is(input, textarea)')].some(touched);
tabs.onmessage = () => {
  if (writing()) status.textContent = 'Something changed in another tab. Reload this page to see it.';
  else location.reload();
};
const tellTabs = () => tabs.postMessage('changed');

// again reads the page anew; what was done and where the person was stay.
export function again(note, id) {
  sessionStorage.setItem(place, JSON.stringify({ note, id, at: window.scrollY }));
  tellTabs();
  location.reload();
  return new Promise(() => {});
}

// acts lets everything in a box that has data-do ask "METHOD /path", under base when
// the path is none of /v1. A form sends its fields, a box what it is as the field it
// names; data-body goes along. Of an agent's page, version is the one it shows.
export function acts(box, { base = '', version } = {}) {
  const fresh = new Map(); // element → key, so that a repeat is harmless
  const ask = (x, more) => {
    const [method, path] = x.dataset.do.split(' ');
    const body = x.dataset.body || more ? { ...JSON.parse(x.dataset.body ?? '{}'), ...more } : undefined;
    if (!fresh.has(x)) fresh.set(x, key());
    return call(method, path.startsWith('/v1/') ? path : base + path, body, method === 'POST' ? { key: fresh.get(x), version } : {});
  };
  for (const b of box.querySelectorAll('button[data-do]')) {
    b.addEventListener('click', once(box, async () => {
      try {
        await ask(b);
        await again(b.dataset.done, b.id);
      } catch (err) {
        tell(status, err);
      }
    }));
  }
  for (const f of box.querySelectorAll('form[data-do]')) {
    f.addEventListener('submit', (e) => e.preventDefault());
    f.addEventListener('submit', once(f, async (e) => {
      try {
        const b = e.submitter; // which is disabled meanwhile, and so no part of the form's data
        const numbers = [...f.querySelectorAll('[data-number]')].map((x) => [x.name, Number(x.value)]);
        await ask(f, { ...Object.fromEntries([...new FormData(f), ...numbers]), ...(b?.name ? { [b.name]: b.value } : {}) });
        f.reset();
        await again(b?.dataset.done ?? f.dataset.done, f.id);
      } catch (err) {
        tell(f.querySelector('.note') ?? status, err);
      }
    }));
    f.addEventListener('input', () => fresh.delete(f)); // something else is asked
  }
  for (const c of box.querySelectorAll('input[data-do]')) {
    c.addEventListener('change', once(c, async () => {
      try {
        await ask(c, { [c.name]: c.checked });
        const note = c.checked ? c.dataset.done : c.dataset.undone;
        if ('again' in c.dataset) await again(note, c.id); // others follow it
        c.defaultChecked = c.checked;
        tellTabs();
        status.textContent = note;
      } catch (err) {
        c.checked = !c.checked;
        tell(status, err);
      }
    }));
  }
}

const last = JSON.parse(sessionStorage.getItem(place) ?? 'null');
sessionStorage.removeItem(place);
if (last) {
  window.scrollTo({ top: last.at });
  document.getElementById(last.id)?.focus({ preventScroll: true });
  setTimeout(() => { status.textContent ||= last.note; }, 50); // a status is read out when it changes; what was said meanwhile is newer
}

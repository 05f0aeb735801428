import { acts, again } from './act.js';
import { call, element, once, pause, tell } from './api.js';
import './unasked.js';

const box = document.querySelector('#growth');
const status = document.querySelector('#status');
const agent = '/v1/agents/' + box.dataset.agent;
const version = box.dataset.version;

acts(box, { base: agent, version });

const pins = [...document.querySelectorAll('.pin')];
for (const p of pins) {
  p.addEventListener('change', once(box, async () => {
    try {
      await call('PUT', agent + '/pins', { pinned: pins.filter((x) => x.checked).map((x) => x.value) }, { version });
      await again(`${p.value} is ${p.checked ? 'pinned: learning leaves it where it is' : 'no longer pinned'}.`, p.id);
    } catch (err) {
      p.checked = !p.checked;
      tell(status, err);
    }
  }));
}

// Accepting what a model suggested.
const suggested = document.querySelector('#suggested');
suggested?.addEventListener('submit', (e) => e.preventDefault());
suggested?.addEventListener('submit', once(box, async () => {
  const fields = [...suggested.querySelectorAll('input:checked')].map((x) => x.value);
  if (!fields.length) {
    status.textContent = 'Tick what you like first.';
    return;
  }
  try {
    await call('POST', agent + '/enrichment/accept', { id: suggested.dataset.id, fields }, { version });
    suggested.reset();
    await again('Kept, as a new version.', 'enrich');
  } catch (err) {
    tell(status, err);
  }
}));

// How often the owner is asked.
const asking = document.querySelector('#asking');
for (const x of asking.querySelectorAll('input')) {
  x.addEventListener('change', once(asking, async () => {
    const every = x.id === 'ask-every';
    try {
      await call('PUT', agent + '/settings', { asking: every ? { every: x.checked ? Number(x.value) : 0 } : { intensity: x.value } });
      await again(every ? `The schedule is ${x.checked ? 'on' : 'off'}.` : `You are asked: ${x.value}.`, x.id);
    } catch (err) {
      tell(status, err);
    }
  }));
}

// Trying levels: the lines of the prompt that would be others.
const form = document.querySelector('#try');
const keep = document.querySelector('#keep');
const shownLines = document.querySelector('#lines');
const sliders = [...form.querySelectorAll('input')];
const moved = () => sliders.filter((s) => Math.abs(s.value - s.dataset.level) > 0.024);

const linesOf = (compiled) => new Map(compiled.trace.filter((t) => t.what === 'line').map((t) => [t.source, t.text]));
let now; // the lines in force
let turn = 0;
async function look() {
  const mine = ++turn;
  await pause(120);
  if (mine !== turn) return;
  const x = moved().map((s) => `${s.name}=${s.value}`).join(',');
  keep.disabled = x === '';
  try {
    now ??= linesOf(await call('GET', agent + '/compile'));
    const then = x ? linesOf(await call('GET', `${agent}/compile?x=${encodeURIComponent(x)}`)) : now;
    if (mine !== turn) return;
    shownLines.replaceChildren();
    for (const s of sliders) {
      if (then.get(s.name) === now.get(s.name)) continue;
      const p = element('p', '', 'line');
      p.append(element('ins', then.get(s.name)), element('del', now.get(s.name)));
      shownLines.append(p);
    }
    if (x && !shownLines.childElementCount) shownLines.append(element('p', 'No line would be another.', 'hint'));
  } catch (err) {
    tell(status, err);
  }
}
function label() {
  for (const s of sliders) s.nextElementSibling.value = Number(moved().includes(s) ? s.value : s.dataset.level).toFixed(2);
}
form.addEventListener('input', () => { label(); look(); });
form.addEventListener('reset', () => setTimeout(() => { label(); look(); }));
form.addEventListener('submit', (e) => e.preventDefault());
form.addEventListener('submit', once(form, async () => {
  const traits = Object.fromEntries(moved().map((s) => [s.name, Number(s.value)]));
  try {
    await call('PUT', agent + '/traits', { traits }, { version });
    await again('Kept, as a new version.', 'keep');
  } catch (err) {
    tell(status, err);
  }
}));

// A link to a version that is folded away opens what it is in.
function unfold() {
  document.getElementById(location.hash.slice(1))?.closest('details')?.setAttribute('open', '');
}
window.addEventListener('hashchange', unfold);
unfold();

// The desk: what lies before a reviewer comes from the API, since asking for it gives
// it to them.
import { acts, again } from './act.js';
import { call, element, key, once, tell } from './api.js';

const box = document.querySelector('#reviews');
const status = document.querySelector('#status');
acts(box);

const desk = document.querySelector('#desk');
const form = document.querySelector('#mark');
let assignment = '';

function question(q, words) {
  const field = element('fieldset', '', 'choices', 'marks');
  field.append(element('legend', q.asks));
  for (const word of words) {
    const label = element('label', '', 'check');
    const input = element('input');
    Object.assign(input, { type: 'radio', name: q.name, value: word, required: true, autocomplete: 'off' });
    label.append(input, ' ' + word.replaceAll('_', ' '));
    field.append(label);
  }
  return field;
}

function show(d) {
  assignment = d.assignmentId ?? '';
  document.querySelector('#exchange').hidden = !assignment;
  const none = document.querySelector('#none');
  none.hidden = Boolean(assignment);
  none.textContent = d.why ?? '';
  document.querySelector('#left').textContent = assignment ? `${d.left} more today after this one` : '';
  if (!assignment) return;
  const lines = d.exchange.map((l, i) => {
    const item = element('li', '', 'bubble', l.who === 'the agent' ? 'agent' : 'person');
    if (i === d.exchange.length - 1) item.classList.add('asked');
    item.append(element('b', l.who), element('p', l.text));
    return item;
  });
  document.querySelector('#said').replaceChildren(...lines);
  document.querySelector('#questions').replaceChildren(...d.questions.map((q) => question(q, d.words)));
}

const next = async () => {
  try {
    show(await call('GET', '/v1/reviews/next'));
  } catch (err) {
    tell(status, err);
  }
};

form?.addEventListener('submit', (e) => e.preventDefault());
form?.addEventListener('submit', once(form, async () => {
  const { note, ...marks } = Object.fromEntries(new FormData(form));
  try {
    const r = await call('POST', `/v1/reviews/${assignment}`, { marks, note });
    form.reset();
    await again(r.state === 'aside' ? `It is set aside for now: ${r.findings.join(' ')}` : 'Thank you. It counts, and a point is yours.', 'note');
  } catch (err) {
    tell(status, err);
    if (err.code === 'assignment_gone' || err.code === 'assignment_expired') await next();
  }
}));
document.querySelector('#skip')?.addEventListener('click', once(form ?? box, async () => {
  try {
    await call('POST', `/v1/reviews/${assignment}/skip`, undefined, { key: key() });
    form.reset();
    await next();
    status.textContent = 'Put away. That says nothing about it.';
  } catch (err) {
    tell(status, err);
  }
}));
if (desk) await next();

// A room, live: what was said comes from the messages and goes on with the stream
// from its last change, so that nothing is lost or doubled when it breaks off.
import { call, element, key, once, patient, pause, tell } from './api.js';
import { emphasise, raise } from './raise.js';
import { moods } from './react.js';
import { sheet } from './sheet.js';

const room = document.querySelector('#room');
// Who may answer here: one agent, or those of a room of several.
const agents = new Map([...document.querySelectorAll('[data-agent]')].map(({ dataset: d }) => [d.agent, { id: d.agent, name: d.name, yours: 'yours' in d }]));
const agent = agents.get(room.dataset.agent); // none in a room of several
const { me } = room.dataset;
const past = document.querySelector('#past');
const list = document.querySelector('#said');
const status = document.querySelector('#status');
const pending = document.querySelector('#pending');
const earlier = document.querySelector('#earlier');

const shown = new Map(); // message id → {change, sequence, item, react}
const finished = new Set(); // decisions whose message is here
let roomID = room.dataset.room ?? '';
let cursor = 0;
let oldest = 0;

function show(m, live) {
  if (m.decisionId) {
    finished.add(m.decisionId);
    if (pending.dataset.decision === m.decisionId || !pending.dataset.decision) quiet();
  }
  const old = shown.get(m.id);
  if (old && old.change >= m.change) return;
  const by = agents.get(m.author.agentId);
  const theirs = Boolean(m.author.agentId);
  if (theirs) shown.get(m.replyTo)?.item.querySelector('.trouble')?.remove();
  const item = old?.item ?? document.querySelector(by?.yours ? '#ours' : theirs ? '#theirs' : '#mine').content.firstElementChild.cloneNode(true);
  item.querySelector('b').textContent = m.author.name || (theirs ? by?.name || 'an agent' : me && me !== m.author.personId ? 'somebody' : 'You');
  item.querySelector('p').textContent = m.deleted ? 'deleted' : m.text;
  item.classList.toggle('gone', Boolean(m.deleted));
  const react = old?.react ?? moods(item, status, me);
  react(m, !by?.yours && (theirs || me !== m.author.personId) && !m.deleted);
  shown.set(m.id, { change: m.change, sequence: m.sequence, item, react });
  if (old) return;
  item.id = 'm-' + m.id;
  item.dataset.sequence = m.sequence;
  item.classList.toggle('other', Boolean(!theirs && me && me !== m.author.personId));
  if (by?.yours) {
    raise(item, by, m);
    if (live) emphasise(item, by, m);
  }
  const end = atEnd();
  const after = [...list.children].findLast((li) => Number(li.dataset.sequence) < m.sequence);
  if (after) after.after(item); else list.prepend(item);
  document.querySelector('#empty').hidden = true;
  if (live && m.author.personId !== me) document.querySelector('#live').textContent = `${item.querySelector('b').textContent}: ${m.text}`;
  if (end || !live) follow();
  if (early.has(m.id)) trouble(early.get(m.id));
}

// A person who reads further up is left there.
const atEnd = () => past.scrollTop + past.clientHeight > past.scrollHeight - 120;
const follow = () => past.scrollTo({ top: past.scrollHeight });

// What an agent is writing, until its message is there.
let silence;
function write(f) {
  if (finished.has(f.decisionId) || agent && f.agentId !== agent.id) return;
  if (!pending.hidden && pending.dataset.by !== f.agentId) return; // one at a time
  const end = atEnd();
  pending.dataset.by = f.agentId;
  pending.querySelector('b').textContent = agents.get(f.agentId)?.name ?? '';
  if (f.decisionId && pending.dataset.decision !== f.decisionId) {
    pending.dataset.decision = f.decisionId;
    pending.querySelector('p').textContent = '';
  }
  pending.hidden = false;
  if (f.text) pending.querySelector('p').textContent += f.text;
  else if (!pending.querySelector('p').textContent) pending.querySelector('p').textContent = '…';
  if (f.text && pending.querySelector('p').textContent.startsWith('…')) pending.querySelector('p').textContent = f.text;
  clearTimeout(silence);
  silence = setTimeout(quiet, 60000);
  if (end) follow();
}

function quiet() {
  pending.hidden = true;
  pending.querySelector('p').textContent = '';
  delete pending.dataset.decision;
}

// Why a message has no answer, under it, with another try where there is one.
const early = new Map(); // message id → what is to be shown once the message is
function trouble(t) {
  const by = agents.get(t.agentId);
  if (!by) return;
  if (pending.dataset.by === t.agentId) quiet();
  const end = atEnd();
  const item = shown.get(t.messageId)?.item;
  if (!item) return early.set(t.messageId, t);
  item.querySelector('.trouble')?.remove();
  const note = element('div', '', 'trouble');
  const says = t.wait
    ? `${by.name} answers later: ${t.says}; it is tried again in ${t.wait} s.`
    : t.says ? `${by.name} could not answer: ${t.says}.` : `${by.name} has not answered this.`;
  note.append(element('p', says));
  note.firstChild.setAttribute('role', 'status');
  if (t.again && !item.classList.contains('other')) {
    const again = element('button', 'Try again', 'quiet');
    again.type = 'button';
    again.addEventListener('click', once(again, async () => {
      try {
        await call('POST', `/v1/rooms/${roomID}/messages/${t.messageId}/retry`);
        note.remove();
        status.textContent = '';
      } catch (err) {
        tell(status, err);
      }
    }));
    note.append(again);
  }
  item.append(note);
  if (end) follow();
}

const broke = 'The connection broke off; trying again…';
let wait = 250;
function listen() {
  const stream = new EventSource(`/v1/rooms/${roomID}/stream?after=${cursor}`);
  stream.onopen = () => {
    wait = 250;
    room.dataset.live = 'yes';
    if (status.textContent === broke) status.textContent = ''; // what an act said stays
  };
  stream.addEventListener('message', (e) => {
    cursor = Number(e.lastEventId) || cursor;
    show(JSON.parse(e.data), true);
  });
  stream.addEventListener('typing', (e) => write(JSON.parse(e.data)));
  stream.addEventListener('delta', (e) => write(JSON.parse(e.data)));
  stream.addEventListener('room', () => document.dispatchEvent(new Event('members')));
  stream.addEventListener('trouble', (e) => trouble(JSON.parse(e.data)));
  stream.addEventListener('gone', () => {
    stream.close();
    status.textContent = 'You are no longer in this room.';
  });
  stream.onerror = async () => {
    stream.close();
    delete room.dataset.live;
    quiet();
    try {
      await call('GET', `/v1/rooms/${roomID}`);
    } catch (err) {
      if (err.status === 401 || err.status === 404) return tell(status, err);
      status.textContent = broke;
    }
    await pause(wait);
    wait = Math.min(wait * 2, 8000);
    listen();
  };
}

async function page(query) {
  const p = await call('GET', `/v1/rooms/${roomID}/messages?limit=50${query}`);
  for (const m of p.messages) show(m, false);
  oldest = Math.min(oldest || Infinity, ...p.messages.map((m) => m.sequence));
  return p;
}

earlier.addEventListener('click', once(earlier, async () => {
  const first = list.firstElementChild;
  try {
    earlier.hidden = !(await page(`&before=${oldest}`)).more;
    first?.scrollIntoView();
  } catch (err) {
    tell(status, err);
  }
}));

// Saying something. A text keeps its key until it is said, so that sending it
// again after a failure says it once.
const form = document.querySelector('#say');
const text = document.querySelector('#text');
const draft = 'draft ' + (agent?.id ?? roomID);
let sending = { text: '', key: '' };

text.value = sessionStorage.getItem(draft) ?? '';
text.addEventListener('input', () => {
  sessionStorage.setItem(draft, text.value);
  text.rows = Math.min(8, text.value.split('\n').length);
});
past.addEventListener('toggle', (e) => { // what opens is seen
  if (e.target.open) (e.target.lastElementChild ?? e.target).scrollIntoView({ block: 'nearest' });
}, true);
text.addEventListener('keydown', (e) => {
  if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  form.requestSubmit();
});
form.addEventListener('submit', (e) => e.preventDefault());
form.addEventListener('submit', once(form, async () => {
  const said = text.value;
  if (!said.trim() || !roomID) return;
  if (sending.text !== said) sending = { text: said, key: key() };
  status.textContent = '';
  try {
    show(await call('POST', `/v1/rooms/${roomID}/messages`, { text: said }, { key: sending.key }), false);
    sending = { text: '', key: '' };
    if (text.value === said) text.value = '';
    text.rows = 1;
    sessionStorage.setItem(draft, text.value);
  } catch (err) {
    tell(status, err);
  }
  text.focus();
}));

// Ending the talk; its owner is asked how it was when the server says so, and may say
// it at any time.
const over = 'ended ' + agent?.id;
const rate = agent?.yours && sheet(agent, status, JSON.parse(sessionStorage.getItem(over) ?? '[]'));
const end = document.querySelector('#end');
end?.addEventListener('click', once(end, async () => {
  try {
    const ended = (await call('POST', `/v1/rooms/${roomID}/end`)).ended ?? [];
    status.textContent = ended.length ? 'The talk is ended. The next message begins another.' : 'No talk is going on.';
    if (ended.length && rate) {
      sessionStorage.setItem(over, JSON.stringify(ended));
      room.dataset.ask = await rate(ended);
    }
  } catch (err) {
    tell(status, err);
  }
}));

try {
  roomID ||= (await patient(() => call('POST', `/v1/agents/${agent.id}/talk`))).id;
  const p = await page('');
  cursor = p.cursor;
  earlier.hidden = !p.more;
  document.querySelector('#empty').hidden = p.messages.length > 0;
  listen();
  const last = p.messages.at(-1);
  if (agent && last && !last.author.agentId && !last.deleted && Date.now() - Date.parse(last.at) > 30000) trouble({ agentId: agent.id, messageId: last.id, again: true });
} catch (err) {
  tell(status, err);
}

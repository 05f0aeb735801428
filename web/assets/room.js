// A room of several people and agents: the talk, and who is in it.
import './talk.js';
import { acts, again } from './act.js';
import { call, once, tell } from './api.js';

const room = document.querySelector('#room').dataset.room;
const box = document.querySelector('#people');
const text = document.querySelector('#text');
const status = document.querySelector('#status');
const path = `/v1/rooms/${room}`;
acts(box);
document.querySelector('#here').addEventListener('click', () => box.showModal());
document.querySelector('#close').addEventListener('click', () => box.close());

// Others came or went. Who was brought in from this page may be on it already.
const here = new Set([...box.querySelectorAll('[data-member]')].map((x) => x.dataset.member));
document.addEventListener('members', async () => {
  const now = await call('GET', path).catch(() => null); // a login that ended is the stream's to say
  if (!now || now.members.length === here.size && now.members.every((m) => here.has(m.agentId ?? m.personId))) return;
  if (box.open || text.value) status.textContent = 'Somebody came or went. Reload this page to see who is here.';
  else location.reload();
});

const named = document.querySelector('#named');
named?.addEventListener('submit', (e) => e.preventDefault());
named?.addEventListener('submit', once(named, async () => {
  try {
    const agent = await call('GET', '/v1/agents/' + encodeURIComponent(named.elements.short.value.trim()));
    await call('POST', `${path}/members`, { agentId: agent.id });
    named.reset();
    await again(`${agent.name} is here.`, 'here');
  } catch (err) {
    tell(named.querySelector('.note'), err);
  }
}));

// A link is shown once; what is kept of it cannot be turned back.
const link = document.querySelector('#link');
const linked = document.querySelector('#linked');
const made = document.querySelector('#made');
const address = document.querySelector('#address');
const asked = (b, work) => b?.addEventListener('click', once(b, async () => {
  try {
    await work();
  } catch (err) {
    tell(linked, err);
  }
}));
asked(link, async () => {
  address.value = address.defaultValue = `${location.origin}/join#${(await call('POST', `${path}/link`)).link}`;
  made.hidden = false;
  linked.textContent = 'Shown this once. Send it to whom you want here.';
  address.select();
});
asked(document.querySelector('#unlink'), async () => {
  await call('DELETE', `${path}/link`);
  made.hidden = true;
  linked.textContent = 'The link brings nobody in any more.';
});
document.querySelector('#copy')?.addEventListener('click', () => {
  address.select();
  navigator.clipboard?.writeText(address.value).then(() => { linked.textContent = 'Copied.'; }, () => {});
});

const leave = document.querySelector('#leave');
leave.addEventListener('click', once(leave, async () => {
  try {
    await call('DELETE', `${path}/members/${document.querySelector('#room').dataset.me}`);
    location.assign('/');
    await new Promise(() => {});
  } catch (err) {
    tell(document.querySelector('#left'), err);
  }
}));

// What an agent may do without being asked, and what it did and kept to itself lately.
import { again } from './act.js';
import { call, element, once, tell } from './api.js';

const box = document.querySelector('#unasked');
const status = document.querySelector('#status');
const agent = '/v1/agents/' + document.querySelector('#growth').dataset.agent;
const [autonomy, cap, from, to] = ['autonomy', 'cap', 'quiet-from', 'quiet-to'].map((id) => document.getElementById(id));
const here = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

for (const x of [from, to]) {
  for (let h = 0; h < 24; h++) x.append(new Option(`${h}:00`, h));
}

let actions;
let was;
async function look() {
  const a = await call('GET', agent);
  actions = a.policy.actionPolicy;
  autonomy.value = a.policy.autonomyLevel;
  cap.value = actions.maxAutonomousActionsPerDay;
  const quiet = a.state.quiet;
  from.value = quiet?.from ?? 22;
  to.value = quiet?.to ?? 8;
  document.querySelector('#zone').textContent = quiet ? `o’clock in ${quiet.zone.replaceAll('_', ' ')}` : 'o’clock UTC, until you change it';
  was = [autonomy.value, cap.value, from.value, to.value];
  for (const x of [autonomy, cap, from, to]) x.disabled = false;
}

function set(x, body, says) {
  x.addEventListener('change', once(box, async () => {
    try {
      await call('PUT', agent + '/settings', body());
      await again(says(), x.id);
    } catch (err) {
      [autonomy.value, cap.value, from.value, to.value] = was;
      tell(status, err);
    }
  }));
}
set(autonomy, () => ({ autonomyLevel: Number(autonomy.value) }), () => `It ${autonomy.selectedOptions[0].text}.`);
set(cap, () => ({ actionPolicy: { ...actions, maxAutonomousActionsPerDay: Number(cap.value) } }), () => `At most ${cap.value} times a day.`);
for (const x of [from, to]) {
  set(x, () => ({ quiet: { zone: here, from: Number(from.value), to: Number(to.value) } }),
    () => (from.value === to.value ? 'No quiet hours.' : `Quiet from ${from.value} to ${to.value} o’clock in ${here.replaceAll('_', ' ')}.`));
}

// The reasons of decisions in words.
const why = {
  killed: 'it was stopped', replies_spent: 'the person had had the day’s replies', agent_turns: 'agents had spoken three times in a row', direct: 'it was alone with somebody who spoke',
  addressed: 'it was spoken to', protected: 'somebody in the room is protected', autonomy: 'it may not unasked', quiet_hours: 'it was quiet hours', daily_cap: 'it had done enough that day',
  reply_frequency: 'chance decided, by how often it joins in', floor_share: 'it had said much already', paused: 'it was paused', no_consent: 'not everybody there allows it',
  opening: 'somebody opened a talk', post: 'chance decided, by how often it posts', invite: 'chance decided, by how often it invites', start_thread: 'chance decided, by how often it begins a talk',
};
const did = { reply: 'spoke', silence: 'kept silent', failed: 'could not speak' };

const lately = document.querySelector('#lately');
lately.addEventListener('toggle', once(lately, async () => {
  if (!lately.open) return;
  try {
    const { lastNActions: last } = await call('GET', agent + '/learning');
    const rows = await Promise.all([...last].reverse().map(async (x) => {
      const { decision: d } = await call('GET', '/v1/decisions/' + x.decisionId);
      const when = new Date(x.at / 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
      const reasons = (d?.reasons ?? []).map((r) => why[r] ?? r).join('; ');
      return element('li', `${when}: ${did[x.action] ?? x.action}${reasons && `: ${reasons}`}.`);
    }));
    lately.querySelector('ol').replaceChildren(...rows);
    lately.querySelector('p').hidden = rows.length > 0;
  } catch (err) {
    tell(status, err);
  }
}));

look().catch((err) => tell(status, err));

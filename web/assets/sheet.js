// How a talk was, in one press; what may follow is never needed.
import { call, key, once, patient, tell } from './api.js';
import { reasons } from './raise.js';

// sheet lets an owner rate the talks that ended. It gives what asks the server, after
// talks ended, whether to open it, and says what the answer was.
export function sheet(agent, status, ended) {
  const box = document.querySelector('#sheet');
  const rate = document.querySelector('#rate');
  const [asks, more] = box.querySelectorAll('.asks, .more');
  const note = document.querySelector('#sheet-note');
  const word = document.querySelector('#word');
  let prompt = ''; // that opened it
  let answered = false;

  const give = (o) => Promise.all(ended.map((sessionId) => call('POST', '/v1/feedback', { ...o, sessionId }, { key: key() })));
  function open(id) {
    prompt = id;
    answered = false;
    asks.hidden = false;
    more.hidden = true;
    note.textContent = word.value = '';
    chosen.clear();
    box.showModal();
  }
  const chosen = new Map(); // chip → ids of its feedback
  const chip = once(more, async (b) => { // again takes it back
    try {
      if (chosen.has(b)) {
        await Promise.all(chosen.get(b).map((id) => call('DELETE', `/v1/feedback/${id}`)));
        chosen.delete(b);
      } else {
        const given = await give({ kind: 'reason', value: b.dataset.value });
        for (const [other, ids] of chosen) if (ids.includes(given[0].supersedes)) chosen.delete(other); // too long and too short are not both
        chosen.set(b, given.map((r) => r.feedbackId));
      }
      for (const x of more.querySelectorAll('[aria-pressed]')) x.ariaPressed = String(chosen.has(x));
    } catch (err) {
      tell(note, err);
    }
  });
  for (const b of asks.querySelectorAll('button')) {
    b.addEventListener('click', once(asks, async () => {
      if (!b.value) return box.close();
      const thanks = `Thank you: “${b.value.replace('_', ' ')}” counts towards how ${agent.name} speaks with you.`;
      try {
        await give({ kind: 'session', value: b.value });
        answered = true;
        status.textContent = thanks;
        more.querySelector('.thanks').textContent = 'Thank you.';
        reasons(more.querySelector('.why'), b.value === 'loved' || b.value === 'good', chip);
        asks.hidden = true;
        more.hidden = false;
        more.querySelector('.thanks').focus();
      } catch (err) {
        box.close();
        tell(status, err);
      }
    }));
  }
  document.querySelector('#done').addEventListener('click', once(more, async () => {
    try {
      if (word.value.trim()) await give({ kind: 'comment', comment: word.value });
      box.close();
    } catch (err) {
      tell(note, err);
    }
  }));
  box.addEventListener('close', () => {
    if (prompt && !answered) call('POST', `/v1/prompts/${prompt}/skipped`).catch(() => {});
  });
  rate.hidden = ended.length === 0;
  rate.addEventListener('click', () => open(''));

  return async (sessions) => {
    ended = sessions;
    rate.hidden = false;
    try {
      const p = await patient(() => call('GET', `/v1/prompts?agent=${agent.id}&session=${ended[0]}`));
      if (p.ask !== 'after_session' || box.open) return p.ask;
      open(p.promptId);
      await call('POST', `/v1/prompts/${p.promptId}/shown`);
      return p.ask;
    } catch {
      return ''; // nobody has to be asked
    }
  };
}

// Emoji under what others say: for everybody in the room to see.
import { call, element, once, tell } from './api.js';

const bar = document.querySelector('#moods');

// moods gives what shows the reactions of a message, and lets somebody react who may.
export function moods(item, status, me) {
  if (!bar) return () => {};
  const box = bar.content.firstElementChild.cloneNode(true);
  const given = box.querySelector('.given');
  const palette = box.querySelector('.react');
  let message;
  let mine = new Set();
  const press = once(box, async (emoji) => {
    try {
      await call(mine.has(emoji) ? 'DELETE' : 'PUT', `/v1/rooms/${message.roomId}/messages/${message.id}/reactions/${encodeURIComponent(emoji)}`);
      palette.open = false; // the stream brings what it became
    } catch (err) {
      tell(status, err);
    }
  });
  for (const b of palette.querySelectorAll('button')) b.addEventListener('click', () => press(b.dataset.emoji));
  item.append(box);
  return (m, may) => {
    message = m;
    const who = new Map();
    for (const r of m.reactions ?? []) who.set(r.emoji, [...(who.get(r.emoji) ?? []), r.personId]);
    mine = new Set([...who.keys()].filter((e) => who.get(e).includes(me)));
    given.replaceChildren(...[...who].map(([emoji, people]) => {
      const chip = element(may ? 'button' : 'span', people.length > 1 ? `${emoji} ${people.length}` : emoji, 'chip');
      if (may) {
        chip.type = 'button';
        chip.ariaPressed = String(mine.has(emoji));
        chip.addEventListener('click', () => press(emoji));
      }
      return chip;
    }));
    palette.hidden = !may;
    box.hidden = !may && !who.size;
  };
}

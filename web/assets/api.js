// The /v1 API with the login's cookie. Errors carry status, code and one sentence.

export function key() { // for Idempotency-Key
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

export async function call(method, path, body, { key, version } = {}) {
  const headers = { Accept: 'application/json' };
  const raw = body instanceof Blob; // a file goes as it is
  if (body !== undefined) headers['Content-Type'] = raw ? 'application/octet-stream' : 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  if (version) headers['If-Match'] = version;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: raw || body === undefined ? body : JSON.stringify(body) });
  } catch {
    throw Object.assign(new Error('The server cannot be reached. Look whether it runs, then try again.'), { status: 0, code: 'unreachable' });
  }
  const v = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (answer.ok) return v;
  throw Object.assign(new Error(v.detail || `The server answered ${answer.status}.`), { status: answer.status, code: v.code || '' });
}

// patient tries again for two seconds while something new is not known everywhere.
export async function patient(ask, until = Date.now() + 2000) {
  try {
    return await ask();
  } catch (err) {
    if (err.status !== 404 || Date.now() > until) throw err;
    await pause(50);
    return patient(ask, until);
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// tell says what went wrong where the person is; a login that ended has its own
// banner.
export function tell(where, err) {
  if (err.status === 401) {
    document.querySelector('#ended').hidden = false;
    where.textContent = '';
    return;
  }
  where.textContent = err.message;
}

// once makes a handler that does nothing while it is still at work; its element, if
// one can press it, and the buttons in it are disabled meanwhile.
export function once(element, work) {
  let busy = false;
  return async (...args) => {
    if (busy) return;
    busy = true;
    const buttons = [...element.querySelectorAll('button:not(:disabled)')];
    if (element.matches('button, input, select')) buttons.push(element);
    const focused = document.activeElement;
    for (const b of buttons) b.disabled = true;
    try {
      return await work(...args);
    } finally {
      busy = false;
      for (const b of buttons) b.disabled = false;
      if (buttons.includes(focused) && document.activeElement === document.body) focused.focus();
    }
  };
}

export function element(tag, text, ...classes) {
  const e = document.createElement(tag);
  if (text) e.textContent = text;
  if (classes.length) e.classList.add(...classes);
  return e;
}

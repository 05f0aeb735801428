// What every page has: logging out.
import { call } from './api.js';

document.querySelector('#logout')?.addEventListener('click', async () => {
  try {
    await call('POST', '/v1/logout');
  } catch { /* it was over already */ }
  location.assign('/login');
});

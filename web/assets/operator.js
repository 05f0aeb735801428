import { acts } from './act.js';

acts(document.querySelector('#operator'));

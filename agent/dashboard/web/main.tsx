import { render } from 'preact';
import { App } from './app.tsx';
import { loadSession } from './api/client.ts';
import { link } from './api/events.ts';
import { followAddress } from './state/router.ts';
import { startTheme } from './state/theme.ts';

const RETRY_MS = 3000;

/** Until the server says who is logged in, there is nothing to show but that it is away. */
function start(): void {
  loadSession().catch(() => {
    link.set('lost');
    setTimeout(start, RETRY_MS);
  });
}

startTheme();
followAddress();
const root = document.querySelector('#page');
if (root !== null) render(<App />, root);
start();

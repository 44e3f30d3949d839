import { loadConfig } from '../../dist/agent/config/load.js';
import { runDaemon } from '../../dist/agent/daemon/run.js';

/* The real daemon, but that its children run the stand-in: `daemon.js CONFIG PROGRAM`. */

const [, , file = '', program = ''] = process.argv;
const stop = new AbortController();
process.on('SIGTERM', () => {
  stop.abort(new Error('told to stop'));
});
const loaded = await loadConfig({ file, env: process.env });
await runDaemon({ loaded, env: process.env, version: '0.0.0', signal: stop.signal, program });

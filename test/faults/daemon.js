/* The real daemon, but that its children run the stand-in: `daemon.js CONFIG PROGRAM`. */

/** @param {string} name of a built module; not a literal, or the types of what is built would count */
const built = (name) => import(new URL(`../../dist/agent/${name}.js`, import.meta.url).href);
const { loadConfig } = await built('config/load');
const { runDaemon } = await built('daemon/run');

const [, , file = '', program = ''] = process.argv;
const stop = new AbortController();
process.on('SIGTERM', () => {
  stop.abort(new Error('told to stop'));
});
const loaded = await loadConfig({ file, env: process.env });
await runDaemon({ loaded, env: process.env, version: '0.0.0', signal: stop.signal, program });

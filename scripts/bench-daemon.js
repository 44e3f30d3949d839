// @ts-check
// What the daemon costs while it does nothing, and how soon it is online: starts mosquitto, a bare
// Node.js process and the built daemon, and reads /proc. Prints one line of JSON with --json, else a
// small table. `--seconds N` is how long the processor time is watched (default 30); with `--metrics`
// GET /metrics is served and asked for every 10 s.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { freePort } from './free-port.js';

const root = dirname(import.meta.dirname);
const main = join(root, 'dist/agent/cli/main.js');
const BARE = 'setInterval(()=>{},1e9)';
/** Start-up garbage is collected, and the first refresh is over. */
const SETTLE_MS = 5000;
const SCRAPE_MS = 10_000;
/** Of /proc/PID/stat: USER_HZ is 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** Proportional set size: shared pages count by their share. @param {number | undefined} pid */
function pssBytes(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

/** Seconds of processor time, with that of children that have ended. @param {number | undefined} pid */
function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
  return ticks / TICKS_PER_SECOND;
}

/** @param {number} port */
async function connectWhenReady(port) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

/** @param {number} port */
async function scrape(port) {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!(await response.text()).includes('edgefit_build_info')) throw new Error('no metrics');
}

/** @param {string} folder @param {number} seconds @param {boolean} withMetrics */
async function measure(folder, seconds, withMetrics) {
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const broker = spawn('mosquitto', ['-c', config], { stdio: 'ignore', env });
  const bare = spawn(process.execPath, ['-e', BARE], { stdio: 'ignore' });
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let daemon;
  /** @type {NodeJS.Timeout | undefined} */
  let scraping;
  try {
    const watcher = await connectWhenReady(port);
    await watcher.subscribeAsync('edgefit/v1/d/bench/up/status');
    const online = new Promise((resolve) => watcher.once('message', resolve));
    const yaml = join(folder, 'agent.yaml');
    writeFileSync(
      yaml,
      `deviceId: bench\nstateDir: ${folder}/state\nmqtt:\n  url: mqtt://127.0.0.1:${port}\n`,
    );
    if (withMetrics) {
      const listen = await freePort();
      appendFileSync(yaml, `metrics:\n  listen: 127.0.0.1:${listen}\n`);
      scraping = setInterval(() => void scrape(listen), SCRAPE_MS);
    }
    const started = performance.now();
    daemon = spawn(process.execPath, [main, 'run', '--config', yaml], {
      stdio: 'ignore',
      // As systemd/edgefit.service starts it.
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    });
    await Promise.race([online, sleep(20_000).then(() => Promise.reject(new Error('not online')))]);
    const onlineMs = Math.round(performance.now() - started);
    await sleep(SETTLE_MS);
    const before = { cpu: cpuSeconds(daemon.pid), at: performance.now() };
    await sleep(seconds * 1000);
    const watched = (performance.now() - before.at) / 1000;
    const idleCpuRatio = (cpuSeconds(daemon.pid) - before.cpu) / watched;
    const result = {
      idlePssBytes: pssBytes(daemon.pid),
      bareNodePssBytes: pssBytes(bare.pid),
      idleCpuRatio: Number(idleCpuRatio.toFixed(5)),
      onlineMs,
    };
    await watcher.endAsync(true);
    return result;
  } finally {
    clearInterval(scraping);
    for (const child of [daemon, bare, broker]) child?.kill('SIGKILL');
  }
}

const at = process.argv.indexOf('--seconds');
const seconds = at === -1 ? 30 : Number(process.argv[at + 1]);
const folder = mkdtempSync(join(tmpdir(), 'edgefit-bench-'));
try {
  const result = await measure(folder, seconds, process.argv.includes('--metrics'));
  if (process.argv.includes('--json')) console.log(JSON.stringify(result));
  else {
    const above = (result.idlePssBytes - result.bareNodePssBytes) / 1e6;
    console.log(`memory  ${above.toFixed(1)} MB above a bare Node.js (PSS, at most 45)`);
    console.log(`cpu     ${(result.idleCpuRatio * 100).toFixed(2)} % of a core (at most 0.5)`);
    console.log(`online  ${result.onlineMs} ms after its start (at most 1500)`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

import { readFileSync } from 'node:fs';

/*
 * The jobs of a device in a process of their own, from the built code, that kills itself in a phase as
 * the kernel would: `device-process.js STATE URL PHASE DELAY_MS PROGRAM < signed document`.
 */

const service = new URL('../../dist/agent/fleet/jobs/service.js', import.meta.url);
const { openJobService } = await import(service.href);

const [, , state = '', url = '', phase = '', delayMs = '0', program = ''] = process.argv;

const jobs = await openJobService({
  deviceId: 'pi-7',
  state,
  repository: url,
  refreshMs: 3_600_000,
  program,
  env: process.env,
  moment: () => ({ ts: new Date().toISOString(), mono: 1, bootId: null }),
  deviceClass: async () => ['test'],
  conditions: async () => ({ celsius: null, throttled: [], lockedBy: null }),
  health: null,
  onSwitched: async () => undefined,
  onBench: async () => undefined,
  applySettings: async () => undefined,
  diagnostics: async () => ({}),
  publish: ({ schema, payload }) => {
    // Decisions on models are told, too.
    if (schema === 'edgefit/job/1') process.stdout.write(`${payload}\n`);
  },
  onKeys: () => undefined,
  log: { info: () => undefined, warn: () => undefined },
  pollMs: 20,
  wrap: (handlers) => {
    const all = { ...handlers };
    for (const [name, work] of Object.entries(handlers)) {
      all[name] = async (input) => {
        if (name === 'probing' && phase === 'rolling_back') throw new Error('as the test wants');
        if (name === phase) {
          setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(delayMs));
          // Not further than this phase.
          const found = await work(input);
          await new Promise((resolve) => setTimeout(resolve, 10_000));
          return found;
        }
        return work(input);
      };
    }
    return all;
  },
});
jobs.start();
const refusal = await jobs.port.onJob('j2', JSON.parse(readFileSync(0, 'utf8')));
if (refusal !== null) throw new Error(refusal.why);
setInterval(() => undefined, 1000);

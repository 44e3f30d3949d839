// @ts-check
// A fleet of simulated devices at a real broker: each with its own connection, journal and signed jobs.
//
//     node scripts/simulate-fleet.js --devices 1000 --fail 2% --json     a rollout from end to end
//     node scripts/simulate-fleet.js --devices 200 --serve --mqtt-port 1883     until it is stopped
//
// docs/scale.md has the options, what is real and what is not, and figures.
import { mkdtemp, mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildWhenMissing } from './simulate-fleet/built.js';
import { readOptions, UsageError } from './simulate-fleet/options.js';

try {
  const options = readOptions(process.argv.slice(2));
  buildWhenMissing();
  process.exitCode = await run(options);
} catch (error) {
  process.stderr.write(
    `simulate-fleet: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
process.exit();

/** @param {import('./simulate-fleet/options.js').Options} options */
async function run(options) {
  // Only now: they load the built agent.
  const { openFleet } = await import('./simulate-fleet/fleet.js');
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'edgefit-fleet-')));
  await mkdir(folder, { recursive: true });
  // It is removed at the end: what somebody had in it must not go, too.
  if ((await readdir(folder)).length > 0) {
    throw new UsageError(`--folder ${folder}: it is not empty, name another one`);
  }
  const fleet = await openFleet(folder, options);
  const stopped = untilSignal();
  try {
    if (options.serve) return await fleet.serve(stopped);
    const { rollOut } = await import('./simulate-fleet/rollout.js');
    return await Promise.race([rollOut(fleet, options), stopped.then(() => 130)]);
  } finally {
    await fleet.close();
    if (options.keep) process.stderr.write(`kept: ${folder}\n`);
    else await rm(folder, { recursive: true, force: true });
  }
}

/** @returns {Promise<void>} */
function untilSignal() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve());
  });
}

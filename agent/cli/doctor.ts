import { Command } from 'commander';
import type { CheckResult, DoctorReport } from '../contracts/doctor.ts';
import type { Check, Finding } from '../util/check.ts';
import { messageOf } from '../util/errors.ts';
import type { CliContext, Outcome } from './context.ts';
import { checksFor, type DoctorFlags } from './doctor-checks.ts';
import { EXIT } from './errors.ts';
import { addMqttOptions } from './mqtt-options.ts';
import { type Io, wantsColor, widthOf, writeJson } from './output.ts';
import { hang, plain, styled } from './text.ts';

const EXAMPLES = `
Checks Node.js, the native libraries, accelerators with their drivers and
permissions, power supply, heat, memory and swap, clock, disk, and with --mqtt
the broker. An error keeps the agent from its work, a warning does not.

Examples:
  agent doctor                       what is missing, and how to mend it
  agent doctor --mqtt mqtts://HOST   and whether the broker lets us in
  agent doctor --root recorded/      another machine, from a copy of its files
  agent doctor --json                the same for programs

Exit codes: 0 no error, 1 an error, 2 bad usage or input.`;

/** `agent doctor`: checks what the agent needs on this machine. */
export function doctorCommand(context: CliContext, outcome: Outcome): Command {
  const { io, version, signal } = context;
  const command = new Command('doctor')
    .summary('check what the agent needs and say how to mend what is missing')
    .description(
      'Checks what the agent needs on this machine and says how to mend what is missing.',
    )
    .option('--json', 'print the result as JSON (edgefit/doctor/1)')
    .option('--root <folder>', 'check a recorded file tree instead of this machine');
  return addMqttOptions(command, 'connect to this broker')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: DoctorFlags) => {
      const checks = await runChecks(await checksFor(flags, context), signal);
      const healthy = !checks.some(
        ({ severity, state }) => severity === 'essential' && state !== 'ok',
      );
      const report: DoctorReport = { schema: 'edgefit/doctor/1', agent: version, healthy, checks };
      if (flags.json === true) writeJson(io, report);
      else io.stdout.write(renderDoctor(report, io));
      if (!healthy) outcome.code = EXIT.failed;
    });
}

/** One after the other, in the order given: a check comes behind the one it depends on. */
export async function runChecks(
  checks: readonly Check[],
  signal: AbortSignal,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { id, title, severity, dependsOn, run } of checks) {
    const needed = results.find((result) => result.id === dependsOn);
    if (needed !== undefined && needed.state !== 'ok') {
      const found = `needs ${needed.id}, which is not in order`;
      const rest = { found, mend: null, facts: {} };
      results.push({ id, title, severity, state: 'skipped', level: 'skipped', ...rest });
      continue;
    }
    // oxlint-disable-next-line no-await-in-loop -- small boards: one child process at a time
    const { ok, found, mend = null, facts = {} } = await outcomeOf(run, signal);
    signal.throwIfAborted();
    const level = ok ? 'ok' : severity === 'essential' ? 'error' : 'warning';
    const state = ok ? 'ok' : 'failed';
    results.push({ id, title, severity, state, level, found, mend, facts });
  }
  return results;
}

/** A check that breaks is one that did not go well; the others are made all the same. */
async function outcomeOf(run: Check['run'], signal: AbortSignal): Promise<Finding> {
  try {
    return await run(signal);
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, found: `the check itself failed: ${messageOf(error)}` };
  }
}

const MARKS = { ok: 'ok', warning: 'warning', error: 'ERROR', skipped: 'skipped' } as const;
const COLORS = { ok: 'green', warning: 'bold', error: 'red', skipped: 'dim' } as const;
const MARK_WIDTH = 9;

function renderDoctor({ checks, healthy }: DoctorReport, io: Io): string {
  const width = widthOf(io.stdout, io.env);
  const color = wantsColor(io.stdout, io.env);
  const indent = ' '.repeat(MARK_WIDTH);
  const lines = checks.flatMap(({ title, level, found, mend }) => [
    `${styled(MARKS[level].padEnd(MARK_WIDTH), COLORS[level], color)}${plain(title)}`,
    ...hang(indent, found, width),
    ...(mend === null ? [] : hang(`${indent}To mend it: `, mend, width)),
  ]);
  const warnings = checks.filter(({ level }) => level === 'warning').length;
  const count = `${warnings} warning${warnings === 1 ? '' : 's'}`;
  const essential = healthy ? 'Everything essential is here' : 'Something essential is missing';
  const end = `${essential}${warnings === 0 ? '' : `; ${count}`}.`;
  return `${[...lines, '', end].join('\n')}\n`;
}

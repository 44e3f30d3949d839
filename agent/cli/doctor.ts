import { Command } from 'commander';
import type { CheckResult, DoctorReport } from '../contracts/doctor.ts';
import type { Check } from '../runtime/checks.ts';
import type { CliContext, Outcome } from './context.ts';
import { EXIT } from './errors.ts';
import { type Io, wantsColor, widthOf, writeJson } from './output.ts';
import { hang, plain, styled } from './text.ts';

const EXAMPLES = `
Examples:
  agent doctor          what is here, what is missing, and how to mend it
  agent doctor --json   the same for programs

Exit codes: 0 all essential checks passed, 1 one did not, 2 bad usage or input.`;

/** `agent doctor`: checks what the agent needs on this machine. */
export function doctorCommand({ io, version, signal }: CliContext, outcome: Outcome): Command {
  return new Command('doctor')
    .summary('check what the agent needs and say how to mend what is missing')
    .description(
      'Checks what the agent needs on this machine and says how to mend what is missing.',
    )
    .option('--json', 'print the result as JSON (edgefit/doctor/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: { readonly json?: true }) => {
      // Loaded here: `--help` does without.
      const { runtimeChecks } = await import('../runtime/checks.ts');
      const checks = await runChecks(runtimeChecks, signal);
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
      results.push({ id, title, severity, state: 'skipped', found, mend: null, facts: {} });
      continue;
    }
    // oxlint-disable-next-line no-await-in-loop -- small boards: one child process at a time
    const { ok, found, mend = null, facts = {} } = await run(signal);
    signal.throwIfAborted();
    results.push({ id, title, severity, state: ok ? 'ok' : 'failed', found, mend, facts });
  }
  return results;
}

const MARKS = { ok: 'ok', failed: 'FAILED', skipped: 'skipped' } as const;
const COLORS = { ok: 'green', failed: 'red', skipped: 'dim' } as const;
const MARK_WIDTH = 9;

function renderDoctor({ checks, healthy }: DoctorReport, io: Io): string {
  const width = widthOf(io.stdout, io.env);
  const color = wantsColor(io.stdout, io.env);
  const indent = ' '.repeat(MARK_WIDTH);
  const lines = checks.flatMap(({ title, state, found, mend }) => [
    `${styled(MARKS[state].padEnd(MARK_WIDTH), COLORS[state], color)}${plain(title)}`,
    ...hang(indent, found, width),
    ...(mend === null ? [] : hang(`${indent}To mend it: `, mend, width)),
  ]);
  const end = healthy ? 'Everything essential is here.' : 'Something essential is missing.';
  return `${[...lines, '', end].join('\n')}\n`;
}

import { Command } from 'commander';
import type { Rollout } from '../../contracts/rollout.ts';
import type { CliContext, Outcome } from '../context.ts';
import { EXIT, type ExitCode } from '../errors.ts';
import { wantsColor, type Io } from '../output.ts';
import { onQuitKey, openScreen, sizeOf } from '../screen.ts';
import { OPERATOR_HELP, operatorOptions, withOperator, type BrokerFlags } from './operator.ts';
import { checkRolloutId } from './rollout-id.ts';

interface Flags extends BrokerFlags {
  readonly json?: true;
}

const HELP = `
On a terminal it redraws itself until the rollout has ended; q leaves it, and
the rollout goes on. Elsewhere one line for each change.
${OPERATOR_HELP}

Examples:
  agent fleet rollout watch kws-2.1.0-3f9a2c
  agent fleet rollout watch kws-2.1.0-3f9a2c --json

Exit codes: 0 it has completed (or you left), 1 failed, 2 bad usage or input,
3 it was aborted, or paused because too much failed.`;

/** `agent fleet rollout watch ID`. */
export function rolloutWatchCommand(context: CliContext, outcome: Outcome): Command {
  const command = new Command('watch')
    .summary('follow a rollout to its end')
    .description('Follows a rollout, wave by wave.')
    .argument('<id>', 'the rollout')
    .option('--json', 'print every change as one line of JSON (edgefit/rollout/1)');
  return operatorOptions(command)
    .addHelpText('after', HELP)
    .action(async (rolloutId: string, flags: Flags) => {
      await checkRolloutId(rolloutId);
      outcome.code = await watchRollout(rolloutId, flags, context);
    });
}

/** Who paused or aborted it himself knows it: only what the rollout did is an objective missed. */
const BY_OPERATOR = 'operator';

function stoppedItself({ state, reason }: Rollout): boolean {
  return state === 'paused' && reason !== null && reason.code !== BY_OPERATOR;
}

function isOver(rollout: Rollout): boolean {
  return rollout.state === 'completed' || rollout.state === 'aborted' || stoppedItself(rollout);
}

/** Follows a rollout until it has ended, stopped itself, or the operator leaves; the exit code. */
export async function watchRollout(
  rolloutId: string,
  flags: Flags,
  context: CliContext,
): Promise<ExitCode> {
  const { followRollout } = await import('../../fleet/operator/rollouts.ts');
  const leave = new AbortController();
  const signal = AbortSignal.any([context.signal, leave.signal]);
  const view = await openView(context.io, flags.json === true);
  const stopKeys = view.isLive ? onQuitKey(() => leave.abort()) : () => undefined;
  // Whoever read it and is gone has left, too.
  const gone = () => leave.abort();
  context.io.stdout.on?.('error', gone);
  try {
    const end = await withOperator(flags, context, ({ channel, timeoutMs }) =>
      followRollout(channel, rolloutId, { onChange: view.show, until: isOver, timeoutMs, signal }),
    );
    return end.state === 'completed' ? EXIT.done : EXIT.objectiveMissed;
  } catch (error) {
    if (leave.signal.aborted) return EXIT.done;
    throw error;
  } finally {
    stopKeys();
    context.io.stdout.off?.('error', gone);
    view.close();
  }
}

interface RolloutView {
  readonly isLive: boolean;
  readonly show: (rollout: Rollout) => void;
  readonly close: () => void;
}

const nothing = () => undefined;

/** The clock of a soak goes on without news. */
const TICK_MS = 1000;

async function openView(io: Io, json: boolean): Promise<RolloutView> {
  const { renderRollout, rolloutLine } = await import('./rollout-view.ts');
  const { stdout } = io;
  if (json) {
    const show = (rollout: Rollout) => stdout.write(`${JSON.stringify(rollout)}\n`);
    return { isLive: false, show, close: nothing };
  }
  if (stdout.isTTY !== true) {
    return {
      isLive: false,
      show: (rollout) => stdout.write(`${rolloutLine(rollout)}\n`),
      close: nothing,
    };
  }
  let last: Rollout | null = null;
  const draw = () => {
    if (last === null) return;
    const options = { width: sizeOf(stdout).width, color: wantsColor(stdout, io.env) };
    screen.draw(renderRollout(last, { ...options, nowMs: Date.now() }));
  };
  const screen = openScreen(stdout, { isFull: false, onResize: draw });
  const timer = setInterval(draw, TICK_MS);
  return {
    isLive: true,
    show: (rollout) => {
      last = rollout;
      draw();
    },
    close: () => {
      clearInterval(timer);
      screen.close();
    },
  };
}

import { Command, Option } from 'commander';
import type { BenchReport } from '../../contracts/bench.ts';
import type { JobRecord } from '../../contracts/job.ts';
import type { OperatorChannel } from '../../fleet/operator/channel.ts';
import type { CliContext, Outcome } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { writeJson } from '../output.ts';
import { plain } from '../text.ts';
import { selectorOf, whereOption, withFleet, type WhereFlags } from './fleet.ts';
import {
  OPERATOR_HELP,
  openSigners,
  operatorKeyOptions,
  operatorOptions,
  withOperator,
  type BrokerFlags,
  type KeyFlags,
} from './operator.ts';
import { parseWait } from './parse.ts';
import { checkDeviceId } from './revoked.ts';

interface Flags extends BrokerFlags, KeyFlags, WhereFlags {
  readonly model?: string;
  readonly within: number;
  readonly json?: true;
}

const DEFAULT_WITHIN_S = 600;
/** Devices that bench at the same time: each is followed over the same connection. */
const AT_ONCE = 50;

const HELP = `
Each device measures the model that it runs, one job at a time, and says what it
found.
${OPERATOR_HELP}

Examples:
  agent fleet bench pi-7 --key ops.key
  agent fleet bench --where 'class=rpi-5 and state=online' --key ops.key

Exit codes: 0 done, 1 a device failed or did not answer, 2 bad usage or input.`;

/** What became of one device. */
interface Benched {
  readonly deviceId: string;
  readonly record: JobRecord | null;
  readonly problem: string | null;
}

/** `agent fleet bench ID` or `--where`. */
export function fleetBenchCommand(context: CliContext, outcome: Outcome): Command {
  const { io } = context;
  const command = new Command('bench')
    .summary('have devices measure what they run')
    .description('Has devices measure the model that they run, and prints what they found.')
    .argument('[id...]', 'the devices')
    .option('--model <name>', 'which model (default: the one that runs)')
    .addOption(
      new Option('--within <time>', 'longest wait for a device')
        .argParser(parseWait(1))
        .default(DEFAULT_WITHIN_S, '10m'),
    )
    .option('--json', 'print the records of the jobs as JSON, a list of edgefit/job/1');
  return operatorOptions(operatorKeyOptions(whereOption(command)))
    .addHelpText('after', HELP)
    .action(async (ids: readonly string[], flags: Flags) => {
      if ((ids.length === 0) === (flags.where === undefined)) {
        throw new UsageError('which devices? give their ids, or --where');
      }
      // oxlint-disable-next-line no-await-in-loop -- a few names
      for (const id of ids) await checkDeviceId(id);
      const devices = flags.where === undefined ? ids : await selected(flags, context);
      const results = await benchAll(devices, flags, context);
      if (flags.json === true)
        writeJson(
          io,
          results.map(({ deviceId, record, problem }) => record ?? { deviceId, problem }),
        );
      else io.stdout.write(`${table(results).join('\n')}\n`);
      if (results.some(({ record }) => record?.status !== 'SUCCEEDED')) outcome.code = EXIT.failed;
    });
}

async function selected(flags: Flags, context: CliContext): Promise<readonly string[]> {
  const selects = await selectorOf(flags);
  const ids = await withFleet(flags, context, {}, async ({ link }) =>
    [...link.roster.rows()].filter(selects).map(({ deviceId }) => deviceId),
  );
  if (ids.length === 0) throw new UsageError('--where selects no device');
  return ids;
}

async function benchAll(
  devices: readonly string[],
  flags: Flags,
  context: CliContext,
): Promise<readonly Benched[]> {
  const { io } = context;
  const signers = await openSigners(flags, io);
  return withOperator(flags, context, async ({ channel, timeoutMs }) => {
    const results: Benched[] = [];
    const waiting = [...devices];
    const worker = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        // oxlint-disable-next-line no-await-in-loop -- a worker has one device at a time
        const result = await benchOne(id, channel, { flags, signers, timeoutMs, context });
        results.push(result);
        const { record, problem } = result;
        const end = record === null ? problem : record.status.toLowerCase();
        io.stderr.write(`${results.length}/${devices.length} ${id}: ${end}\n`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, devices.length) }, worker));
    return results.toSorted((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  });
}

interface BenchOptions {
  readonly flags: Flags;
  readonly signers: Awaited<ReturnType<typeof openSigners>>;
  readonly timeoutMs: number;
  readonly context: CliContext;
}

/** What is wrong with one device does not end the others. */
async function benchOne(
  deviceId: string,
  channel: OperatorChannel,
  { flags, signers, timeoutMs, context: { signal } }: BenchOptions,
): Promise<Benched> {
  const { runJob } = await import('../../fleet/operator/jobs.ts');
  const { OperatorError } = await import('../../fleet/operator/error.ts');
  const job = {
    jobType: 'bench',
    ...(flags.model === undefined ? {} : { model: flags.model }),
  } as const;
  try {
    const follow = { timeoutMs: flags.within * 1000, signal };
    const options = { signers, timeoutMs, signal, validSeconds: flags.within, follow };
    const record = await runJob(channel, deviceId, job, options);
    return { deviceId, record, problem: record === null ? 'no answer: is it offline?' : null };
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code === 'LOST') throw error;
    return { deviceId, record: null, problem: error.message };
  }
}

type Latency = NonNullable<BenchReport['candidates'][number]['latencyMs']>;

/** The figures of a record; a newer agent may write others. */
function latencyOf(record: JobRecord | null): Partial<Latency> {
  const found = record?.result?.['latencyMs'];
  return typeof found === 'object' && found !== null ? found : {};
}

function cell(value: unknown): string {
  return (typeof value === 'number' ? value.toPrecision(3) : '-').padStart(9);
}

function table(results: readonly Benched[]): readonly string[] {
  const names = Math.min(30, Math.max(6, ...results.map(({ deviceId }) => deviceId.length)));
  const head = `${'device'.padEnd(names)}${['p50 ms', 'p90 ms', 'p99 ms'].map((one) => one.padStart(9)).join('')}  result`;
  return [
    head,
    ...results.map(({ deviceId, record, problem }) => {
      const { p50, p90, p99 } = latencyOf(record);
      const reason = record?.reason === null || record === null ? '' : `: ${record.reason.text}`;
      const end = record === null ? (problem ?? '') : `${record.status.toLowerCase()}${reason}`;
      return `${deviceId.slice(0, names).padEnd(names)}${[p50, p90, p99].map(cell).join('')}  ${plain(end)}`;
    }),
  ];
}

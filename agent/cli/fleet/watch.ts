import { Command } from 'commander';
import type { FleetSample } from '../../contracts/fleet-list.ts';
import type { FleetMessage } from '../../fleet/roster/read.ts';
import type { DeviceRow } from '../../fleet/roster/row.ts';
import type { CliContext } from '../context.ts';
import { wantsColor } from '../output.ts';
import { wholeNumber } from '../parsers.ts';
import { sizeOf } from '../screen.ts';
import { marksFor } from '../sparkline.ts';
import { selectorOf, whereOption, withFleet, type OpenFleet, type WhereFlags } from './fleet.ts';
import { redrawUntilQuit } from './ls.ts';
import { OPERATOR_HELP, operatorOptions, type BrokerFlags } from './operator.ts';
import { parseWait } from './parse.ts';
import { sampleOf } from './sample.ts';
import { classMedian, renderWatch, sampleLine, type Seen } from './watch-view.ts';

interface Flags extends BrokerFlags, WhereFlags {
  readonly every?: number;
  readonly count?: number;
  readonly json?: true;
}

const HELP = `
On a terminal the picture stays until q is typed. Elsewhere one line for each
moment, every 10 s, until Ctrl-C or --count.
${OPERATOR_HELP}

Examples:
  agent fleet watch --where 'tag=site-a'
  agent fleet watch --json --every 60s >> fleet.jsonl

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** More often nothing is to be seen, and a processor is busy. */
const LEAST_EVERY_S = 0.1;
const LIVE_S = 2;
const LINE_S = 10;
const HOTTEST = 5;
/** As many as the widest terminal shows. */
const MAX_SAMPLES = 200;

/** `agent fleet watch`. */
export function fleetWatchCommand(context: CliContext): Command {
  const command = new Command('watch')
    .summary('what the fleet is doing, with sparklines')
    .description('Watches what the fleet is doing: states, heat, p90, jobs, messages.')
    .option(
      '--every <time>',
      'how often it is looked at (default: 2s; 10s in lines)',
      parseWait(LEAST_EVERY_S),
    )
    .option('--count <n>', 'in lines: how many', wholeNumber({ min: 1 }))
    .option('--json', 'lines of JSON (edgefit/fleet-sample/1)');
  return operatorOptions(whereOption(command))
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const selects = await selectorOf(flags);
      const counter = new Counter();
      const hooks = { onMessage: (message: FleetMessage) => counter.add(message) };
      await withFleet(flags, context, hooks, async (fleet) => {
        const look = () => lookAt(fleet, selects, counter);
        if (context.io.stdout.isTTY === true && flags.json !== true)
          await live(look, flags, context);
        else await lines(look, flags, context);
      });
    });
}

/** Messages since they were last asked for. */
class Counter {
  #messages = 0;
  #telemetry = 0;
  #sinceMs = performance.now();

  add({ kind }: FleetMessage): void {
    this.#messages += 1;
    if (kind === 'telemetry') this.#telemetry += 1;
  }

  take() {
    const now = performance.now();
    const taken = {
      messages: this.#messages,
      telemetry: this.#telemetry,
      seconds: (now - this.#sinceMs) / 1000,
    };
    this.#messages = 0;
    this.#telemetry = 0;
    this.#sinceMs = now;
    return taken;
  }
}

interface Look {
  readonly rows: readonly DeviceRow[];
  readonly sample: FleetSample;
}

function lookAt(fleet: OpenFleet, selects: (row: DeviceRow) => boolean, counter: Counter): Look {
  const rows = [...fleet.link.roster.rows()].filter(selects);
  return { rows, sample: sampleOf(rows, counter.take(), fleet.connected(), Date.now()) };
}

async function live(look: () => Look, flags: Flags, context: CliContext): Promise<void> {
  const { io } = context;
  const history = new History();
  const draw = () => {
    const { rows, sample } = look();
    history.add(rows, sample);
    return renderWatch(rows, history.seen(), {
      width: sizeOf(io.stdout).width,
      color: wantsColor(io.stdout, io.env),
      marks: marksFor(io.env),
      hottest: HOTTEST,
    });
  };
  await redrawUntilQuit(draw, (flags.every ?? LIVE_S) * 1000, context);
}

/** What the sparklines show. Bounded: one value a class and moment, and of devices only the hottest. */
class History {
  readonly #samples: FleetSample[] = [];
  readonly #classes = new Map<string, (number | null)[]>();
  readonly #heat = new Map<string, (number | null)[]>();

  add(rows: readonly DeviceRow[], sample: FleetSample): void {
    const before = this.#samples.length;
    push(this.#samples, sample);
    const byClass = groupByClass(rows);
    for (const [name, own] of byClass) push(rowOf(this.#classes, name, before), classMedian(own));
    const hot = rows
      .filter(({ celsius }) => celsius !== null)
      .toSorted((a, b) => (b.celsius ?? 0) - (a.celsius ?? 0))
      .slice(0, HOTTEST);
    for (const { deviceId, celsius } of hot) push(rowOf(this.#heat, deviceId, before), celsius);
    const names = new Set(hot.map(({ deviceId }) => deviceId));
    for (const name of this.#heat.keys()) if (!names.has(name)) this.#heat.delete(name);
    for (const name of this.#classes.keys()) if (!byClass.has(name)) this.#classes.delete(name);
  }

  seen(): Seen {
    return { samples: this.#samples, classes: this.#classes, heat: this.#heat };
  }
}

function push<T>(values: T[], value: T): void {
  values.push(value);
  if (values.length > MAX_SAMPLES) values.shift();
}

/** A row that begins now: nothing was known before. */
function rowOf(rows: Map<string, (number | null)[]>, name: string, before: number) {
  const known = rows.get(name) ?? Array.from<number | null>({ length: before }).fill(null);
  rows.set(name, known);
  return known;
}

async function lines(look: () => Look, flags: Flags, { io, signal }: CliContext): Promise<void> {
  const { setTimeout: sleep } = await import('node:timers/promises');
  const everyMs = (flags.every ?? LINE_S) * 1000;
  const most = flags.count ?? Infinity;
  // Ctrl-C ends it, and so does whoever read it and is gone.
  const gone = new AbortController();
  const leave = () => gone.abort();
  io.stdout.on?.('error', leave);
  signal.addEventListener('abort', leave, { once: true });
  for (let written = 0; written < most && !gone.signal.aborted && !signal.aborted; written += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one moment after the other
    if (written > 0)
      await sleep(everyMs, undefined, { signal: gone.signal }).catch(() => undefined);
    if (gone.signal.aborted) return;
    const { sample } = look();
    io.stdout.write(`${flags.json === true ? JSON.stringify(sample) : sampleLine(sample)}\n`);
  }
}

function groupByClass(rows: readonly DeviceRow[]): ReadonlyMap<string, readonly DeviceRow[]> {
  const groups = new Map<string, DeviceRow[]>();
  for (const row of rows) {
    const group = groups.get(row.class) ?? [];
    group.push(row);
    groups.set(row.class, group);
  }
  return groups;
}

import type { ComponentChildren } from 'preact';
import type { DeviceRow } from '../../../contracts/dashboard.ts';
import type { Twin } from '../../../contracts/fleet-twin.ts';
import type { Birth } from '../../../contracts/messages.ts';
import { linkTo } from '../state/router.ts';
import { FactsList } from '../ui/facts-list.tsx';
import { formatBytes, formatNumber, formatTime, plural, toMs, UNKNOWN } from '../ui/format.ts';

interface FactsProps {
  readonly birth: Birth | null;
  readonly twin: Twin | null;
  readonly row: DeviceRow;
}

type Line = readonly [name: string, value: ComponentChildren];

function ghz(hz: number | null): string {
  return hz === null ? '' : `, ${formatNumber(hz / 1e9, 2)} GHz`;
}

function boardLines({ facts }: Birth): readonly Line[] {
  const { board, cpu, memory, os } = facts;
  return [
    ['Board', board.model ?? board.id],
    ['Profile', <span class="mono">{facts.profile.id}</span>],
    [
      'CPU',
      `${cpu.model ?? UNKNOWN}, ${formatNumber(cpu.coresOnline)} cores, ${cpu.arch}${ghz(cpu.maxFrequencyHz)}`,
    ],
    ['Governor', cpu.governor ?? UNKNOWN],
    [
      'Memory',
      memory.limitBytes === null
        ? formatBytes(memory.totalBytes)
        : `${formatBytes(memory.limitBytes)} of ${formatBytes(memory.totalBytes)}`,
    ],
    ['System', [os.name, os.kernel].filter(Boolean).join(', ') || UNKNOWN],
    ...(facts.jetson === undefined ? [] : [jetsonLine(facts.jetson)]),
  ];
}

function jetsonLine(jetson: NonNullable<Birth['facts']['jetson']>): Line {
  const parts = [jetson.jetpack && `JetPack ${jetson.jetpack}`, jetson.powerMode];
  return ['Jetson', parts.filter(Boolean).join(', ') || UNKNOWN];
}

function fitLines(birth: Birth): readonly Line[] {
  return [
    ['Worth trying', birth.precisions.join(', ') || 'none'],
    ['Runtimes', birth.runtimes.join(', ') || 'none'],
    [
      'Accelerators',
      birth.facts.accelerators.length === 0
        ? 'none'
        : birth.facts.accelerators.map((each) => (
            <span key={each.kind} class="accelerator">
              {each.kind}
              {!each.usable && <span class="warn-text"> unusable: {each.problem}</span>}
            </span>
          )),
    ],
  ];
}

function agentLines({ birth, twin, row }: FactsProps): readonly Line[] {
  const { settings } = twin ?? {};
  return [
    ['Agent', row.agent ?? UNKNOWN],
    [
      'Tags',
      row.tags.length === 0
        ? 'none'
        : row.tags.map((tag) => (
            <a key={tag} class="tag" href={linkTo(['fleet'], { q: `tag=${tag}` })}>
              {tag}
            </a>
          )),
    ],
    ['Log level', settings?.applied.logLevel ?? 'as configured'],
    ['Trusted keys', (birth?.keyIds ?? []).map((key) => key.slice(0, 12)).join(', ') || 'none'],
    ['Born', formatTime(toMs(birth?.ts))],
    ['Digest', <span class="mono digest">{row.model?.digest ?? UNKNOWN}</span>],
  ];
}

/** What the device is, what it can run and what could not be found out. */
export function Facts(props: FactsProps) {
  const { birth } = props;
  const lines = [
    ...(birth === null ? [] : [...boardLines(birth), ...fitLines(birth)]),
    ...agentLines(props),
  ];
  const unknown = birth?.facts.unknown ?? [];
  return (
    <section class="card facts" aria-labelledby="facts-title">
      <h2 id="facts-title">Facts and profile</h2>
      {birth === null && (
        <p class="muted">The device has not said what it is: its birth message has not come.</p>
      )}
      <FactsList lines={lines} />
      {unknown.length > 0 && (
        <details>
          <summary>{plural(unknown.length, 'fact')} could not be read</summary>
          <ul class="reasons">
            {unknown.map(({ fact, why }) => (
              <li key={fact}>
                <span class="mono">{fact}</span> {why}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

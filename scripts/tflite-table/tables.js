// @ts-check
// Figures of TFLite files as Markdown.

/** @typedef {import('../compare-peer/rules.js').Figures} Figures */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {Readonly<Record<string, Figures>>} figures by file: float, prepared, a scheme, published
 * @property {Readonly<Record<string, string>>} made what a scheme decided for, where it decides
 * @property {Readonly<Record<string, string>>} refused why there is no such file, or none that runs
 */

const HEAD = [
  'package',
  'scheme',
  'size',
  'SQNR dB',
  'drop, points',
  'ms',
  'prepared float / it',
  'file / it',
];

/** Times are as many times faster than float. @param {readonly Row[]} rows @param {readonly string[]} schemes */
export function schemeTable(rows, schemes) {
  const lines = rows.flatMap((row) => {
    const { float, prepared } = row.figures;
    const first = [row.name, 'float', '1', 'same', metric(float), ms(float), '', '1'];
    const second = ['', 'prepared', share(prepared, float), decibels(prepared), '', ms(prepared)];
    return [
      first,
      [...second, '1', ratio(float, prepared)],
      ...schemes.map((scheme) => cells(row, scheme)),
    ];
  });
  return table(HEAD, lines);
}

/** @param {Row} row @param {string} scheme */
function cells({ figures, refused, made }, scheme) {
  const { float, prepared, [scheme]: one } = figures;
  if (one === undefined) return ['', scheme, short(refused[scheme] ?? '-'), '', '', '', '', ''];
  return [
    '',
    scheme in made ? `${scheme}: ${made[scheme]}` : scheme,
    share(one, float),
    decibels(one),
    drop(one, float),
    ms(one),
    ratio(prepared, one),
    ratio(float, one),
  ];
}

/** Ours beside the file that the authors published. @param {readonly Row[]} rows */
export function publishedTable(rows) {
  const head = [
    'package',
    'metric: ours, theirs',
    'SQNR dB: ours, theirs',
    'size: ours / theirs',
    'ms: ours, theirs',
    'ours / theirs',
  ];
  const lines = rows.flatMap(({ name, figures, refused }) => {
    const { published: theirs, 'like-published': ours } = figures;
    if (theirs === undefined) {
      return 'published' in refused
        ? [[name, short(refused['published'] ?? ''), '', '', '', '']]
        : [];
    }
    return [
      [
        name,
        `${metric(ours)}, ${metric(theirs)}`,
        `${decibels(ours)}, ${decibels(theirs)}`,
        share(ours, theirs),
        `${ms(ours)}, ${ms(theirs)}`,
        ratio(ours, theirs),
      ],
    ];
  });
  return table(head, lines);
}

/** What `auto` made beside the best file of another quantizer, both run here. @param {readonly Row[]} rows */
export function bestTable(rows) {
  const head = [
    'package',
    'metric: float, auto, theirs',
    'SQNR dB: auto, theirs',
    'bytes: auto, theirs',
    'ms: float, auto, theirs',
    'auto / theirs',
  ];
  const lines = rows.flatMap(({ name, figures, refused }) => {
    const { float, auto, best } = figures;
    if (best === undefined) {
      return 'best' in refused ? [[name, short(refused['best'] ?? ''), '', '', '', '']] : [];
    }
    return [
      [
        name,
        [float, auto, best].map(metric).join(', '),
        `${decibels(auto)}, ${decibels(best)}`,
        `${auto?.bytes ?? '-'}, ${best.bytes}`,
        [float, auto, best].map(ms).join(', '),
        ratio(auto, best),
      ],
    ];
  });
  return table(head, lines);
}

/**
 * Whether INT8 pays here, and what is taken where it does not: times, the smaller the better.
 * @param {readonly Row[]} rows
 */
export function latencyTable(rows) {
  const head = ['package', 'float ms', 'int8-static / prepared float', 'auto took', 'auto / file'];
  const lines = rows.map(({ name, figures, made }) => {
    const { float, prepared, 'int8-static': int8, auto } = figures;
    return [name, ms(float), ratio(int8, prepared), made['auto'] ?? '-', ratio(auto, float)];
  });
  return table(head, lines);
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} lines */
export function table(head, lines) {
  const all = [head, head.map(() => '---'), ...lines];
  return all.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** @param {string} why */
const short = (why) => why.replaceAll('|', '/').replaceAll(/\s+/g, ' ').slice(0, 160);

/** @param {Figures | undefined} one */
const ms = (one) => (one === undefined ? '-' : one.ms1.toPrecision(3));

/** @param {Figures | undefined} a @param {Figures | undefined} b */
const ratio = (a, b) => (a === undefined || b === undefined ? '-' : (a.ms1 / b.ms1).toFixed(2));

/** @param {Figures | undefined} one @param {Figures | undefined} of */
const share = (one, of) =>
  one === undefined || of === undefined ? '-' : (one.bytes / of.bytes).toFixed(3);

/** @param {Figures | undefined} one */
function decibels(one) {
  if (one === undefined) return '-';
  return one.sqnrDb === null ? 'same' : one.sqnrDb.toFixed(1);
}

/** @param {Figures | undefined} one */
function metric(one) {
  if (one === undefined || one.metric === null || one.value === null) return '-';
  return `${one.metric} ${(one.value * 100).toFixed(2)}`;
}

/** @param {Figures} one @param {Figures | undefined} float */
function drop({ value }, float) {
  const before = float?.value ?? null;
  return value === null || before === null ? '-' : ((before - value) * 100).toFixed(2);
}

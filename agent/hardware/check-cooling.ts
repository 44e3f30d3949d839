import type { Finding } from '../util/check.ts';
import type { Machine } from './checks.ts';
import { listFolder, readOptional, startReading } from './facts-log.ts';
import { hottest, isNamed } from './thermal.ts';
import type { Tree } from './tree.ts';

/** So close to the limit, a benchmark reaches it. */
const MARGIN_CELSIUS = 5;
/** For machines whose profile knows no limit: below where any of them slows down. */
const USUAL_LIMIT_CELSIUS = 90;
const HWMON = '/sys/class/hwmon';
/** What throttling has to do with heat; the others are about the supply. */
const BY_HEAT: readonly string[] = ['throttled', 'soft-temperature-limit'];

/** Temperature against the limit of the board, heat throttling, and the fan. */
export async function checkCooling({ facts, profile, tree }: Machine): Promise<Finding> {
  const own = profile.thermal?.throttleCelsius;
  const limit = own ?? USUAL_LIMIT_CELSIUS;
  const celsius = hottest(relevantZones(facts.thermal, profile.thermal?.sensors));
  const fan = await readFan(tree);
  const fanText = fan === null ? '' : `, fan at ${fan} rpm`;
  const slowed = (facts.throttling?.now ?? []).filter((name) => BY_HEAT.includes(name));
  const mend = 'give it a heat sink or a fan, and room for air';
  if (celsius === null) {
    return slowed.length > 0
      ? { ok: false, found: `it is slowed down: ${slowed.join(', ')}`, mend }
      : { ok: true, found: `no sensor tells${fanText}` };
  }
  const from =
    own === undefined
      ? `its limit is not known, ${limit} °C is taken`
      : `slows down at ${limit} °C`;
  const found = `${celsius.toFixed(1)} °C, ${from}${fanText}`;
  if (slowed.length > 0) {
    return { ok: false, found: `${found}; slowed down now: ${slowed.join(', ')}`, mend };
  }
  if (celsius < limit - MARGIN_CELSIUS) return { ok: true, found };
  return { ok: false, found, mend: fan === 0 ? `the fan stands still; ${mend}` : mend };
}

function relevantZones(
  zones: Machine['facts']['thermal'],
  sensors: readonly string[] | undefined,
): Machine['facts']['thermal'] {
  const ours = zones.filter(({ zone }) => sensors === undefined || isNamed(zone, sensors));
  return ours.length === 0 ? zones : ours;
}

/** The fastest fan in revolutions per minute; null where none tells. */
async function readFan(tree: Tree): Promise<number | null> {
  const reading = startReading(tree);
  const folders = await listFolder(reading, 'fan', HWMON, /^hwmon\d+$/);
  const speeds = folders.map(async (folder) =>
    (await readOptional(tree, `${HWMON}/${folder}/fan1_input`))?.trim(),
  );
  const known = (await Promise.all(speeds)).flatMap((text) =>
    text !== undefined && /^\d{1,6}$/.test(text) ? [Number(text)] : [],
  );
  return known.length === 0 ? null : Math.max(...known);
}

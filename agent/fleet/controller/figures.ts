import type { FleetFigures } from '../../telemetry/families.ts';
import { executionStates } from '../rollouts/execution.ts';
import type { Controller } from './controller.ts';

/** How many there are of each combination of labels. */
class Tally<Labels extends Readonly<Record<string, string>>> {
  readonly #counts = new Map<string, Labels & { count: number }>();

  add(labels: Labels, count = 1): void {
    const key = JSON.stringify(Object.values(labels));
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { ...labels, count });
    else known.count += count;
  }

  list() {
    return [...this.#counts.values()];
  }
}

/** A rollout that ended is told for so long: its last figures are scraped, and lines do not pile up. */
const ENDED_MS = 24 * 3_600_000;

/** What the metrics of a controller tell, from its roster and the rollouts that it leads. */
export function figuresOf(
  { link, desk, epoch }: Pick<Controller, 'link' | 'desk' | 'epoch'>,
  nowMs: number = Date.now(),
): FleetFigures {
  const devices = new Tally<{ state: string; class: string }>();
  const models = new Tally<{ model: string; version: string; precision: string }>();
  for (const row of link.roster.rows()) {
    devices.add({ state: row.state, class: row.class });
    if (row.model === null) continue;
    const { name, version, precision } = row.model;
    models.add({ model: name, version, precision });
  }
  const rollouts = new Tally<{ rollout: string; state: string; status: string }>();
  for (const { record: rollout } of desk()?.states() ?? []) {
    if (rollout.endedAt !== null && Date.parse(rollout.endedAt) < nowMs - ENDED_MS) continue;
    for (const status of executionStates) {
      const labels = { rollout: rollout.rolloutId, state: rollout.state, status };
      rollouts.add(labels, rollout.counts[status]);
    }
  }
  return {
    devices: devices.list(),
    models: models.list(),
    rollouts: rollouts.list(),
    leader: epoch() !== null,
    connected: link.connected(),
  };
}

import type { DeviceRow } from '../../contracts/dashboard.ts';
import type { FleetView } from './ports.ts';

/**
 * Rows as JSON, made once for each state of a row however many readers there are. A row is never
 * changed in place, so it can be the key; the text goes when the row does.
 */
export class RowTexts {
  readonly #texts = new WeakMap<DeviceRow, string>();

  text(row: DeviceRow): string {
    const known = this.#texts.get(row);
    if (known !== undefined) return known;
    const text = JSON.stringify(row);
    this.#texts.set(row, text);
    return text;
  }

  /** A JSON list of these. */
  list(rows: Iterable<DeviceRow>): string {
    const texts: string[] = [];
    for (const row of rows) texts.push(this.text(row));
    return `[${texts.join(',')}]`;
  }
}

/** GET /api/fleet, as text. */
export function fleetText(fleet: FleetView, texts: RowTexts): string {
  const rest = JSON.stringify({
    broker: fleet.broker(),
    controllers: fleet.controllers(),
    complete: fleet.isComplete(),
  });
  return `{"devices":${texts.list(fleet.rows())},${rest.slice(1)}`;
}

import type { BrokerState, DeviceRow, Fleet } from '../../../contracts/dashboard.ts';
import type { ControllerStatus } from '../../../contracts/rollout.ts';
import { createStore } from './store.ts';

/** Every device by id. The map is changed in place: `version` says that it was. */
export interface Devices {
  readonly version: number;
  readonly byId: ReadonlyMap<string, DeviceRow>;
}

const rows = new Map<string, DeviceRow>();
export const devices = createStore<Devices>({ version: 0, byId: rows });
export const broker = createStore<BrokerState | null>(null);
export const controllers = createStore<readonly ControllerStatus[]>([]);
/** Whether all that the broker keeps has been read; false also before anything has come. */
export const complete = createStore(false);
/** Whether the first answer has come. */
export const loaded = createStore(false);

let announced = false;

/** However many messages come in between, the page is drawn once for a frame. */
function announce(): void {
  if (announced) return;
  announced = true;
  // A page in the background gets no frames; it shall not pile them up either.
  requestAnimationFrame(() => {
    announced = false;
    devices.set({ version: devices.get().version + 1, byId: rows });
  });
}

export function takeFleet(fleet: Fleet): void {
  rows.clear();
  for (const row of fleet.devices) rows.set(row.deviceId, row);
  broker.set(fleet.broker);
  controllers.set(fleet.controllers);
  complete.set(fleet.complete);
  loaded.set(true);
  announce();
}

export function takeChanges(changed: readonly DeviceRow[], gone: readonly string[]): void {
  for (const row of changed) rows.set(row.deviceId, row);
  for (const id of gone) rows.delete(id);
  announce();
}

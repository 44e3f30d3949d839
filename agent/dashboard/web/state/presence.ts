import type { DeviceRow } from '../../../contracts/dashboard.ts';

/** What the server keeps beside the metrics of a device: 1 when it came, 0 when it went. */
export const ONLINE_METRIC = 'deviceOnline';

/** Nothing is heard of it: what is known of its heat and load is as it was, not as it is. */
export const isAway = ({ state }: Pick<DeviceRow, 'state'>): boolean =>
  state === 'offline' || state === 'silent';

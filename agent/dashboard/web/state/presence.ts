import type { DeviceRow } from '../../../contracts/dashboard.ts';

/** Nothing is heard of it: what is known of its heat and load is as it was, not as it is. */
export const isAway = ({ state }: Pick<DeviceRow, 'state'>): boolean =>
  state === 'offline' || state === 'silent';

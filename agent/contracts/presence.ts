/** Under this name the history keeps when a device was online (1) and when it was not (0). */
export const ONLINE_METRIC = 'deviceOnline';

/** Most rollouts, or days, that a controller may be told to keep: their records are all in memory. */
export const MAX_KEPT = 10_000;

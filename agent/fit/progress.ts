/** What a child says of its progress. */
export function counted(value: unknown): { done?: number; total?: number } {
  if (typeof value !== 'object' || value === null) return {};
  const done = 'done' in value && typeof value.done === 'number' ? { done: value.done } : {};
  const total = 'total' in value && typeof value.total === 'number' ? { total: value.total } : {};
  return { ...done, ...total };
}

import type { ComponentChildren } from 'preact';

interface FactsListProps {
  readonly lines: readonly (readonly [name: string, value: ComponentChildren])[];
}

/** Names and what they are, a line each. */
export function FactsList({ lines }: FactsListProps) {
  return (
    <dl class="facts-list">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

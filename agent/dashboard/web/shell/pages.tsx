import { ComparePage } from '../compare/compare-page.tsx';
import { DevicePage } from '../device/device-page.tsx';
import { FleetPage } from '../fleet/fleet-page.tsx';
import { NewRolloutPage } from '../rollouts/new-page.tsx';
import { RolloutListPage } from '../rollouts/list-page.tsx';
import { RolloutPage } from '../rollouts/rollout-page.tsx';
import { place, type Place } from '../state/router.ts';
import { useStore } from '../state/store.ts';
import { Empty } from '../ui/empty.tsx';

function pageAt({ path, query }: Place) {
  const [section = 'fleet', id] = path;
  if (section === 'fleet') return <FleetPage query={query} />;
  if (section === 'devices' && id !== undefined) return <DevicePage key={id} deviceId={id} />;
  if (section === 'rollouts') {
    if (id === undefined) return <RolloutListPage />;
    return <RolloutPage key={id} rolloutId={id} />;
  }
  // A rollout may be called "new", so the form has an address of its own.
  if (section === 'new-rollout') return <NewRolloutPage />;
  if (section === 'compare') return <ComparePage query={query} />;
  return <Empty title="There is no such page">Use the bar above.</Empty>;
}

export function Pages() {
  return pageAt(useStore(place));
}

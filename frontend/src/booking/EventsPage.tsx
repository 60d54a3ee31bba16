import { Anchor, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { listEventsOptions } from "../api/generated/@tanstack/react-query.gen";
import { Loaded } from "../layout/Loaded";

export function EventsPage() {
  const events = useQuery(listEventsOptions());
  return (
    <Loaded query={events}>
      {({ items }) => (
        <Stack>
          {items.map((event) => (
            <Title order={2} key={event.id}>
              <Anchor component={Link} to={`/events/${event.id}`}>
                {event.name}
              </Anchor>
            </Title>
          ))}
        </Stack>
      )}
    </Loaded>
  );
}

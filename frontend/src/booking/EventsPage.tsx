import { Anchor, Badge, Button, Card, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { type InfiniteData, useInfiniteQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { type EventPage, type EventRead, listEvents } from "../api/generated";
import { dateTime, leaf, money } from "../format";
import { Loaded } from "../layout/Loaded";
import { PageTitle } from "../layout/PageTitle";
import classes from "./EventsPage.module.css";
import { onSale, seatsLeft } from "./sale";

const PAGE = 20;
const FEW = 10;

export function EventsPage() {
  const { t } = useTranslation();
  const list = useRef<HTMLDivElement & HTMLUListElement>(null);
  const events = useInfiniteQuery({
    queryKey: ["events"],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }): Promise<EventPage> => {
      const { data } = await listEvents({ query: { cursor: pageParam, limit: PAGE }, signal, throwOnError: true });
      return data;
    },
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  async function more() {
    const shown = list.current?.children.length ?? 0;
    await events.fetchNextPage();
    list.current?.children[shown]?.querySelector("a")?.focus();
  }
  return (
    <Stack gap="lg">
      <PageTitle>{t("events.title")}</PageTitle>
      <Loaded<InfiniteData<EventPage>> query={events} skeleton={<Waiting />}>
        {({ pages }) => (
          <>
            {pages[0]?.items.length === 0 && <Text size="lg">{t("events.none")}</Text>}
            <Stack component="ul" className={classes.list} ref={list}>
              {pages.flatMap(({ items }) => items.map((event) => <EventCard key={event.id} event={event} />))}
            </Stack>
            {events.hasNextPage && (
              <Group justify="center">
                <Button variant="default" onClick={more} loading={events.isFetchingNextPage}>
                  {t("events.more")}
                </Button>
              </Group>
            )}
          </>
        )}
      </Loaded>
    </Stack>
  );
}

function EventCard({ event }: { event: EventRead }) {
  const { t } = useTranslation();
  const on = leaf(event.starts_at, event.timezone);
  const prices = event.ticket_types.map((type) => type.price.amount_minor);
  const lowest = { amount_minor: Math.min(...prices), currency: event.currency };
  const price = lowest.amount_minor ? money(lowest) : t("events.free");
  const varied = prices.some((amount) => amount !== lowest.amount_minor);
  return (
    <Card component="li" withBorder padding="md" className={classes.card}>
      <div className={classes.leaf} aria-hidden>
        <span className={classes.month}>{on.month}</span>
        <span className={classes.day}>{on.day}</span>
      </div>
      <div className={classes.what}>
        <Title order={2} size="h3" className={classes.name}>
          <Anchor component={Link} to={`/events/${event.id}`} className={classes.link} inherit>
            {event.name}
          </Anchor>
        </Title>
        <Text>{dateTime(event.starts_at, event.timezone)}</Text>
        <Text c="dimmed">{event.venue}</Text>
      </div>
      <div className={classes.offer}>
        <Text fw={650}>{varied ? t("events.from", { price }) : price}</Text>
        <Offer event={event} />
      </div>
    </Card>
  );
}

function Offer({ event }: { event: EventRead }) {
  const { t } = useTranslation();
  const left = seatsLeft(event);
  switch (onSale(event)) {
    case "cancelled":
      return <Badge color="red">{t("events.cancelled")}</Badge>;
    case "started":
      return <Badge color="gray">{t("events.started")}</Badge>;
    case "over":
      return <Badge color="gray">{t("events.over")}</Badge>;
    case "draft":
      return <Badge color="gray">{t("events.draft")}</Badge>;
    case "sold_out":
      return <Badge color="gray">{t("events.soldOut")}</Badge>;
    case "on_sale":
      return (
        <Text size="sm" className={left <= FEW ? classes.few : undefined} c={left <= FEW ? undefined : "dimmed"}>
          {t("events.left", { count: left })}
        </Text>
      );
  }
}

function Waiting() {
  const { t } = useTranslation();
  return (
    <Stack role="status" aria-label={t("loading")} aria-busy>
      {["first", "second", "third", "fourth"].map((card) => (
        <Skeleton key={card} className={classes.waiting} radius="md" />
      ))}
    </Stack>
  );
}

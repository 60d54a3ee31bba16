import { Alert, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import type { EventRead } from "../api/generated";
import { Loaded } from "../layout/Loaded";
import { PageTitle } from "../layout/PageTitle";
import classes from "./EventPage.module.css";
import { HeldSeats } from "./HeldSeats";
import { OrderForm } from "./OrderForm";
import { eventQuery } from "./queries";
import { onSale } from "./sale";
import { When } from "./When";

export function EventPage() {
  const { eventId = "" } = useParams();
  const event = useQuery(eventQuery(eventId));
  return (
    <Loaded query={event} skeleton={<Waiting />}>
      {(event) => <Shown key={event.id} event={event} />}
    </Loaded>
  );
}

function Shown({ event }: { event: EventRead }) {
  const { t } = useTranslation();
  const sale = onSale(event);
  return (
    <Stack gap="xl">
      <Stack gap="sm">
        <PageTitle>{event.name}</PageTitle>
        <dl className={classes.facts}>
          <dt>{t("event.when")}</dt>
          <dd>
            <When {...event} />
          </dd>
          <dt>{t("event.where")}</dt>
          <dd>{event.venue}</dd>
        </dl>
        {event.description && <Text className={classes.description}>{event.description}</Text>}
      </Stack>
      <HeldSeats eventId={event.id} />
      {sale === "cancelled" && <Alert color="red">{t("event.cancelledText")}</Alert>}
      {(sale === "started" || sale === "over") && <Alert color="gray">{t("event.startedText")}</Alert>}
      {sale === "draft" && <Alert color="gray">{t("event.draftText")}</Alert>}
      {sale === "sold_out" && (
        <Alert color="gray" title={t("events.soldOut")}>
          {t("event.soldOutText")}
        </Alert>
      )}
      {(sale === "on_sale" || sale === "sold_out") && <OrderForm event={event} />}
    </Stack>
  );
}

function Waiting() {
  const { t } = useTranslation();
  return (
    <Stack role="status" aria-label={t("loading")} aria-busy gap="xl">
      <Stack>
        <Skeleton h={44} w="70%" />
        <Skeleton h={52} w="55%" />
      </Stack>
      <Skeleton h={180} />
      <Skeleton h={220} />
    </Stack>
  );
}

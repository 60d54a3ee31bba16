import { Badge, NativeSelect, Text } from "@mantine/core";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import type { EventRead } from "../api/generated";
import { money } from "../format";
import classes from "./TicketChoice.module.css";

/** Tickets in one booking. */
const MOST = 20;

type Props = {
  event: EventRead;
  quantities: Record<string, number>;
  onChange: (quantities: Record<string, number>) => void;
  error: string | undefined;
};

/** How many tickets of each type. More than are left stays chosen until somebody changes it, and is said to be too many. */
export function TicketChoice({ event, quantities, onChange, error }: Props) {
  const { t } = useTranslation();
  const errorId = useId();
  const all = Object.values(quantities).reduce((sum, quantity) => sum + quantity, 0);
  return (
    <div>
      <ul className={classes.types}>
        {event.ticket_types.map(({ id, name, price, available }) => {
          const quantity = quantities[id] ?? 0;
          const most = Math.max(quantity, Math.min(available, MOST - (all - quantity)));
          const tooMany = quantity > available;
          return (
            <li key={id} className={classes.type}>
              <div className={classes.name}>
                <Text fw={600}>{name}</Text>
                <Text size="sm" c="dimmed">
                  {available ? t("events.left", { count: available }) : null}
                </Text>
              </div>
              <Text fw={600} className={classes.price}>
                {price.amount_minor ? money(price) : t("events.free")}
              </Text>
              <div className={classes.quantity}>
                {available === 0 && quantity === 0 ? (
                  <Badge color="gray">{t("events.soldOut")}</Badge>
                ) : (
                  <NativeSelect
                    aria-label={t("event.quantity", { name })}
                    aria-describedby={error ? errorId : undefined}
                    size="md"
                    value={String(quantity)}
                    error={tooMany || Boolean(error)}
                    onChange={(chosen) => onChange({ ...quantities, [id]: Number(chosen.currentTarget.value) })}
                    data={Array.from({ length: most + 1 }, (_, count) => String(count))}
                  />
                )}
              </div>
              {tooMany && (
                <Text size="sm" className={classes.tooMany}>
                  {t("event.wrong.onlyLeft", { count: available })}
                </Text>
              )}
            </li>
          );
        })}
      </ul>
      <Text size="sm" c="dimmed" mt="xs">
        {t("event.most", { count: MOST })}
      </Text>
      {error && (
        <Text id={errorId} role="alert" className={classes.tooMany}>
          {error}
        </Text>
      )}
    </div>
  );
}

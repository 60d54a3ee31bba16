import { Text, VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./Countdown.module.css";
import { useSecondsUntil } from "./clock";

const MINUTE = 60;
const HURRY_S = 2 * MINUTE;
/** Minutes that are said aloud when they begin. */
const ANNOUNCED = [10, 5, 2, 1];

/** The time that is left, by the server's clock. It is shown each second and read aloud only now and then. */
export function Countdown({ until }: { until: string }) {
  const { t } = useTranslation();
  const seconds = useSecondsUntil(until);
  const minutes = Math.ceil(seconds / MINUTE);
  const announced = ANNOUNCED.includes(minutes) && seconds > 0 ? t("pay.heldAnnounced", { count: minutes }) : "";
  const shown = `${Math.floor(seconds / MINUTE)}:${String(seconds % MINUTE).padStart(2, "0")}`;
  return (
    <div className={classes.countdown} data-hurry={seconds <= HURRY_S || undefined}>
      <Text component="span">{t("pay.held")}</Text>
      <span role="timer" className={classes.time}>
        {shown}
      </span>
      <VisuallyHidden role="status">{announced}</VisuallyHidden>
    </div>
  );
}

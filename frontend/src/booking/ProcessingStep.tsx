import { Group, Loader, Stack, Text } from "@mantine/core";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { BookingRead } from "../api/generated";
import { BookingFrame } from "./BookingFrame";

const SLOW_MS = 15_000;

/** Nobody needs to do anything: the page goes on by itself. */
export function ProcessingStep({
  booking,
  step,
}: {
  booking: BookingRead;
  step: "processing" | "checking" | "in_review";
}) {
  const { t } = useTranslation();
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  const [title, text] = {
    processing: [t("processing.title"), t("processing.text")],
    checking: [t("processing.checking"), t("processing.checkingText")],
    in_review: [t("processing.review"), t("processing.reviewText")],
  }[step] as [string, string];
  return (
    <BookingFrame booking={booking} title={title}>
      <Stack mih={200}>
        <Group wrap="nowrap" align="flex-start">
          {step !== "in_review" && <Loader size="sm" mt={2} aria-hidden />}
          <Text>{text}</Text>
        </Group>
        <Text role="status" c="dimmed">
          {slow && step !== "in_review" ? t("processing.slow") : ""}
        </Text>
      </Stack>
    </BookingFrame>
  );
}

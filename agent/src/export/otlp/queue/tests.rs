use super::*;

fn ends(limit: u64) -> (Sender<u32>, Receiver<u32>, Arc<Exporter>) {
    let exporter = Exporter::new("test", limit);
    let (sender, receiver) = queue(Arc::clone(&exporter));
    (sender, receiver, exporter)
}

fn dropped(exporter: &Exporter) -> Vec<(&'static str, u64)> {
    exporter.view().dropped
}

const DELAY: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_or_its_time_has_come() {
    let (mut sender, mut receiver, exporter) = ends(100);
    sender.push(&mut (0..7).collect());
    let began = Instant::now();
    let batch = receiver.recv_batch(3, DELAY).await.unwrap();
    assert_eq!((batch.items(), began.elapsed()), (&[0, 1, 2][..], Duration::ZERO));
    drop(batch);
    assert_eq!(receiver.recv_batch(3, DELAY).await.unwrap().items(), [3, 4, 5]);
    // One is left, and nothing comes.
    let batch = receiver.recv_batch(3, DELAY).await.unwrap();
    assert_eq!((batch.items(), began.elapsed()), (&[6][..], DELAY));
    assert_eq!(exporter.view().queued, 1);
    drop(batch);
    assert_eq!(exporter.view().queued, 0);

    // A second chunk while the first waits.
    sender.push(&mut vec![7]);
    let (batch, ()) = tokio::join!(receiver.recv_batch(2, DELAY), async {
        tokio::time::sleep(DELAY / 2).await;
        sender.push(&mut vec![8]);
    });
    assert_eq!((batch.unwrap().items(), began.elapsed()), (&[7, 8][..], DELAY + DELAY / 2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_until_it_is_sent_and_the_newest_gives_way() {
    let (mut sender, mut receiver, exporter) = ends(4);
    let mut items = vec![0, 1, 2];
    sender.push(&mut items);
    assert!(items.is_empty());
    sender.push(&mut vec![3, 4, 5]);
    assert_eq!((exporter.view().queued, dropped(&exporter)), (4, vec![("queue_full", 2)]));
    let batch = receiver.recv_batch(4, DELAY).await.unwrap();
    assert_eq!(batch.items(), [0, 1, 2, 3]);
    sender.push(&mut vec![6]);
    assert_eq!(dropped(&exporter), [("queue_full", 3)]);
    drop(batch);
    sender.push(&mut vec![7]);
    assert_eq!(receiver.recv_batch(4, DELAY).await.unwrap().items(), [7]);
    sender.push(&mut Vec::new());
    assert!(receiver.try_batch(4).is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_by_a_future_that_is_dropped() {
    let (mut sender, mut receiver, _) = ends(10);
    sender.push(&mut vec![0]);
    assert!(tokio::time::timeout(DELAY / 2, receiver.recv_batch(2, DELAY)).await.is_err());
    sender.push(&mut vec![1]);
    assert_eq!(receiver.recv_batch(2, DELAY).await.unwrap().items(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_taken_or_counted() {
    let (mut sender, mut receiver, exporter) = ends(10);
    sender.push(&mut vec![0, 1, 2]);
    drop(sender);
    assert_eq!(receiver.recv_batch(2, DELAY).await.unwrap().items(), [0, 1]);
    assert_eq!(receiver.recv_batch(2, DELAY).await.unwrap().items(), [2]);
    assert!(receiver.recv_batch(2, DELAY).await.is_none());
    assert_eq!(dropped(&exporter), []);

    let (mut sender, mut receiver, exporter) = ends(10);
    sender.push(&mut vec![0, 1, 2]);
    assert_eq!(receiver.try_batch(1).unwrap().items(), [0]);
    drop(receiver);
    sender.push(&mut vec![3]);
    assert_eq!((exporter.view().queued, dropped(&exporter)), (0, vec![("shutdown", 3)]));
}

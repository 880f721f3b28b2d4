//! The `decode` of the message that a frame holds, whichever that is.

use ringlog_wire::*;

macro_rules! decode_as {
    ($body:expr, $request:ident, $response:ident) => {
        match $body.header().direction() {
            Direction::Request => $request::decode($body).map(drop),
            Direction::Response => $response::decode($body).map(drop),
            Direction::Error => ErrorResponse::decode($body).map(drop),
        }
    };
}

/// Decodes the body of a frame of this kind.
pub(crate) fn any(api: Api, body: Body<'_>) -> Result<(), DecodeError> {
    match api {
        Api::Hello => decode_as!(body, HelloRequest, HelloResponse),
        Api::Metadata => decode_as!(body, MetadataRequest, MetadataResponse),
        Api::Produce => decode_as!(body, ProduceRequest, ProduceResponse),
        Api::Fetch => decode_as!(body, FetchRequest, FetchResponse),
        Api::ListOffsets => decode_as!(body, ListOffsetsRequest, ListOffsetsResponse),
        Api::CreateTopic => decode_as!(body, CreateTopicRequest, CreateTopicResponse),
        Api::DeleteTopic => decode_as!(body, DeleteTopicRequest, DeleteTopicResponse),
        Api::AlterTopic => decode_as!(body, AlterTopicRequest, AlterTopicResponse),
        Api::DescribeTopic => decode_as!(body, DescribeTopicRequest, DescribeTopicResponse),
        Api::DescribeCluster => decode_as!(body, DescribeClusterRequest, DescribeClusterResponse),
        Api::DeleteRecords => decode_as!(body, DeleteRecordsRequest, DeleteRecordsResponse),
        Api::InitProducer => decode_as!(body, InitProducerRequest, InitProducerResponse),
        Api::OffsetCommit => decode_as!(body, OffsetCommitRequest, OffsetCommitResponse),
        Api::OffsetFetch => decode_as!(body, OffsetFetchRequest, OffsetFetchResponse),
        Api::DrainBroker => decode_as!(body, DrainBrokerRequest, DrainBrokerResponse),
        Api::ElectLeaders => decode_as!(body, ElectLeadersRequest, ElectLeadersResponse),
        Api::AlterPartitionReassignment => decode_as!(
            body,
            AlterPartitionReassignmentRequest,
            AlterPartitionReassignmentResponse
        ),
        Api::WatchCluster => decode_as!(body, WatchClusterRequest, WatchClusterResponse),
    }
}
